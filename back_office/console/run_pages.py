"""The pages of bulk runs: list, new, preview, approval, progress and result."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, File, Form, UploadFile
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import Response, StreamingResponse

from back_office.imports.report import ImportFileError
from back_office.runs.actions import first_approver, is_own
from back_office.runs.errors import RunRefusedError
from back_office.runs.faulty import faulty_rows, write_marked
from back_office.runs.limits import is_same_person
from back_office.runs.plan import HOURS, PER_MINUTE, Filter, RunTerms
from back_office.runs.preview import messages_of, preview
from back_office.runs.progress import progress_of
from back_office.runs.result import csv_lines
from back_office.staff import StaffRole
from renewal.store import audit, contact_edits
from renewal.store import runs as queries
from schema.reasons import CODES, RunReason
from schema.roc import RocDateError, parse
from schema.states import RunItemState, RunState
from schema.stored_reasons import read_reason
from schema.taipei import TAIPEI, end_of, start_of
from templates.codes import text
from web.errors import PageError
from web.language import locale_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from back_office.console.site import ConsoleReader, ConsoleSite
    from back_office.runs.progress import Progress
    from renewal.db.rows import Run

Words = Annotated[str, Form(max_length=300)]
Number = Annotated[int, Form(ge=1, le=1_000_000)]
PAGE = 50
AGAIN_AFTER = 2_000  #: milliseconds, until the browser asks for progress again
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@dataclass(frozen=True)
class RunPages:
    site: ConsoleSite

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        add = router.add_api_route
        add("/runs", self.list_page, methods=["GET"])
        add("/inbox", self.inbox, methods=["GET"])
        add("/runs/new", self.new_page, methods=["GET"])
        add("/runs/new", self.make, methods=["POST"])
        add("/runs/{run}", self.page, methods=["GET"])
        add("/runs/{run}/submit", self.submit, methods=["POST"])
        add("/runs/{run}/approve", self.approve, methods=["POST"])
        add("/runs/{run}/reject", self.reject, methods=["POST"])
        add("/runs/{run}/start", self.start, methods=["POST"])
        add("/runs/{run}/pause", self.pause, methods=["POST"])
        add("/runs/{run}/resume", self.resume, methods=["POST"])
        add("/runs/{run}/cancel", self.cancel, methods=["POST"])
        add("/runs/{run}/throttle", self.throttle, methods=["POST"])
        add("/runs/{run}/retry", self.retry, methods=["POST"])
        add("/runs/{run}/progress", self.progress, methods=["GET"])
        add("/runs/{run}/errors", self.errors, methods=["GET"])
        add("/runs/{run}/marked.xlsx", self.marked, methods=["POST"])
        add("/runs/{run}/result.csv", self.result, methods=["GET"])
        return router

    # --- lists ----------------------------------------------------------------------------------

    def list_page(self, request: Request, state: str = "", before: int = 0) -> Response:
        reader = self.site.reader(request)
        with self.site.store.snapshot() as look:
            found = queries.listed(
                look, state=state or None, before=before or None, at_most=PAGE + 1
            )
        return self.site.kit.page(
            request, "console/runs.html", me=reader, here="runs", runs=found[:PAGE],
            states=list(RunState), state=state, more=found[PAGE - 1].id if found[PAGE:] else None,
            notice=self.site.notice(request), may_make=reader.may(StaffRole.MAKER),
        )  # fmt: skip

    def inbox(self, request: Request) -> Response:
        reader = self.site.reader(request)
        with self.site.store.snapshot() as look:
            found = queries.listed(look, state=RunState.AWAITING_APPROVAL.value)
            numbers = contact_edits.waiting(look, PAGE)
        return self.site.kit.page(
            request, "console/inbox.html", me=reader, here="inbox", runs=found, numbers=numbers,
            notice=self.site.notice(request),
        )  # fmt: skip

    # --- new ------------------------------------------------------------------------------------

    def new_page(self, request: Request) -> Response:
        reader = self.site.reader(request, StaffRole.MAKER)
        return self._new_page(request, reader)

    def _new_page(
        self, request: Request, reader: ConsoleReader, refused: str = "", **typed: object
    ) -> Response:
        """The two forms; what was typed stands in them again."""
        fresh = dict.fromkeys(("run_name", "product", "ends_from", "ends_until"), "")
        return self.site.kit.page(
            request, "console/run-new.html", status=422 if refused else 200, me=reader,
            here="runs", refused=refused, products=sorted(self.site.policies.by_product),
            **{**fresh, "per_minute": PER_MINUTE, "hours": HOURS, **typed},
        )  # fmt: skip

    def make(  # noqa: PLR0917 - the fields of one form
        self,
        request: Request,
        name: Words = "",
        per_minute: Number = PER_MINUTE,
        hours: Words = HOURS,
        product: Words = "",
        ends_from: Words = "",
        ends_until: Words = "",
        file: Annotated[UploadFile | None, File()] = None,
    ) -> Response:
        reader = self.site.reader(request, StaffRole.MAKER)
        try:
            if file is not None and file.filename:
                name = name or Path(file.filename).stem
                terms = RunTerms(name=name, per_minute=per_minute, hours=hours)
                run = self._from_file(file, terms, reader.name)
            else:
                chosen = Filter(
                    product=product or None,
                    ends_from=_day(ends_from, end=False),
                    ends_until=_day(ends_until, end=True),
                )
                terms = RunTerms(name=name or str(chosen), per_minute=per_minute, hours=hours)
                run = self.site.planner.from_filter(chosen, terms, who=reader.name)
        except (RunRefusedError, ImportFileError) as refused:
            refusal = text(refused.reason, locale_of(request))
        except RocDateError:
            refusal = text(RunReason.DAY_UNREADABLE, locale_of(request))
        else:
            return self.site.kit.see(f"/runs/{run.id}")
        return self._new_page(
            request, reader, refusal, run_name=name, per_minute=per_minute, hours=hours,
            product=product, ends_from=ends_from, ends_until=ends_until,
        )  # fmt: skip

    def _from_file(self, file: UploadFile, terms: RunTerms, who: str) -> Run:
        with tempfile.TemporaryDirectory() as folder:
            # Its own name is shown and kept; on disk it has one that nobody has chosen.
            path = Path(folder) / "list"
            _copied(file, path)
            source = Path(file.filename or "list").name
            return self.site.planner.from_file(path, terms, who=who, source=source)

    # --- one run --------------------------------------------------------------------------------

    def page(self, request: Request, run: int) -> Response:
        reader, language = self.site.reader(request), locale_of(request)
        with self.site.store.snapshot() as look:
            row = look.runs.find(run)
            if row is None:
                raise PageError("E9404")
            seen = preview(look, run, self.site.policies)
            planned = messages_of(look, run, self.site.policies, self.site.renderer)
            progress = progress_of(look, run)
            buckets = queries.buckets(look, run)
            first = first_approver(row, look.at)
            needs_two = row.state == RunState.AWAITING_APPROVAL and (
                first is not None
                or not self.site.runs.one_suffices(look, row, reader.roles | {StaffRole.CHECKER})
            )
        failed = [
            (_worded(bucket.why, language), bucket.items)
            for bucket in buckets
            if bucket.state == RunItemState.FAILED
        ]
        why = text(read_reason(row.why, row.why_parameters), language) if row.why else ""
        return self.site.kit.page(
            request, "console/run.html", me=reader, here="runs", run=row, seen=seen,
            progress=progress, failed=failed, why=why,
            excluded=[(_worded(code, language), n) for code, n in seen.excluded.items()],
            refused=[(_worded(code, language), n) for code, n in seen.refused_rows.items()],
            notice=self.site.notice(request), state=RunState(row.state), planned=planned,
            may_make=reader.may(StaffRole.MAKER),
            may_approve=reader.may(StaffRole.CHECKER)
            and not is_own(row, reader.name)
            and not is_same_person(first, reader.name),
            first=first, needs_two=needs_two,
        )  # fmt: skip

    def submit(self, request: Request, run: int, why: Words) -> Response:
        who = self.site.reader(request, StaffRole.MAKER).name
        return self.site.acted(
            request, lambda: self.site.runs.submit(run, who=who, why=why),
            f"/runs/{run}", ("已送審；清單從此固定。", "Submitted; the list is frozen."),
        )  # fmt: skip

    def approve(self, request: Request, run: int, why: Words) -> Response:
        me = self.site.reader(request, StaffRole.CHECKER)
        act = self.site.runs.approve
        return self.site.acted(
            request, lambda: act(run, who=me.name, note=why, roles=me.roles),
            f"/runs/{run}", ("核准已記錄。", "Your approval is recorded."),
        )  # fmt: skip

    def reject(self, request: Request, run: int, why: Words) -> Response:
        who = self.site.reader(request, StaffRole.CHECKER).name
        return self.site.acted(
            request, lambda: self.site.runs.reject(run, who=who, note=why),
            f"/runs/{run}", ("已退回。", "Sent back to its maker."),
        )  # fmt: skip

    def start(self, request: Request, run: int, why: Words) -> Response:
        who = self.site.reader(request, StaffRole.MAKER).name
        return self.site.acted(
            request, lambda: self.site.runs.start(run, who=who, why=why),
            f"/runs/{run}", ("開始執行。", "It is running."),
        )  # fmt: skip

    def pause(self, request: Request, run: int, why: Words) -> Response:
        who = self.site.reader(request, StaffRole.MAKER, StaffRole.CHECKER).name
        return self.site.acted(
            request, lambda: self.site.runs.pause(run, who=who, why=why),
            f"/runs/{run}", ("已暫停。", "Paused."),
        )  # fmt: skip

    def resume(self, request: Request, run: int, why: Words) -> Response:
        who = self.site.reader(request, StaffRole.MAKER, StaffRole.CHECKER).name
        return self.site.acted(
            request, lambda: self.site.runs.resume(run, who=who, why=why),
            f"/runs/{run}", ("繼續執行。", "It goes on."),
        )  # fmt: skip

    def cancel(self, request: Request, run: int, why: Words) -> Response:
        who = self.site.reader(request, StaffRole.MAKER, StaffRole.CHECKER).name
        return self.site.acted(
            request, lambda: self.site.runs.cancel(run, who=who, why=why), f"/runs/{run}",
            ("已取消；手上的會做完。", "Cancelled; what is in hand is finished."),
        )  # fmt: skip

    def throttle(self, request: Request, run: int, per_minute: Number, why: Words) -> Response:
        who = self.site.reader(request, StaffRole.MAKER, StaffRole.CHECKER).name
        return self.site.acted(
            request, lambda: self.site.runs.throttle(run, per_minute, who=who, why=why),
            f"/runs/{run}", ("速度已改變。", "The throttle is changed."),
        )  # fmt: skip

    def retry(self, request: Request, run: int, why: Words) -> Response:
        who = self.site.reader(request, StaffRole.MAKER).name
        return self.site.acted(
            request, lambda: self.site.runs.retry(run, who=who, why=why),
            f"/runs/{run}", ("失敗的項目會重試。", "The failed items will be retried."),
        )  # fmt: skip

    def progress(self, request: Request, run: int) -> Response:
        """
        Server-sent events: how far the run is now. The stream ends after each event, so that no
        thread waits for a reader, and the browser comes again by itself.
        """
        self.site.reader(request)
        with self.site.store.snapshot() as look:
            if look.runs.find(run) is None:
                raise PageError("E9404")
            seen = progress_of(look, run)
        data = json.dumps(_figures(seen, locale_of(request)), ensure_ascii=False)
        event = f"retry: {AGAIN_AFTER}\nid: {seen.begun}\ndata: {data}\n\n"
        return Response(event, media_type="text/event-stream")

    def errors(self, request: Request, run: int, after: int = 0) -> Response:
        """The rows of the list that are not renewed: where, which code, why and what to do."""
        reader = self.site.reader(request)
        with self.site.store.snapshot() as look:
            row = look.runs.find(run)
            if row is None:
                raise PageError("E9404")
            found = faulty_rows(look, run, after=after, at_most=PAGE + 1)
        return self.site.kit.page(
            request, "console/run-errors.html", me=reader, here="runs", run=row,
            rows=found[:PAGE], more=found[PAGE - 1].number if found[PAGE:] else None,
            notice=self.site.notice(request), language=locale_of(request),
        )  # fmt: skip

    def marked(self, request: Request, run: int, file: Annotated[UploadFile, File()]) -> Response:
        """The wrong rows of the run's own file, handed in again, as a workbook with marks."""
        who = self.site.reader(request, StaffRole.MAKER).name
        session = self.site.kit.signed_in(request)
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "list", Path(folder) / "marked.xlsx"
            _copied(file, source)
            try:
                write_marked(self.site.store, run, source, target)
            except (RunRefusedError, ImportFileError) as refused:
                self.site.kit.keep(request, session, notice=_warning(refused))
                return self.site.kit.see(f"/runs/{run}/errors")
            content = target.read_bytes()
        with self.site.store.transaction() as work:
            audit.write(
                work, who=who, did="marked list of run", object_=f"run {run}", why="download"
            )
        name = f'attachment; filename="run-{run}-errors.xlsx"'
        return Response(content, media_type=XLSX, headers={"Content-Disposition": name})

    def result(self, request: Request, run: int) -> Response:
        who = self.site.reader(request).name
        with self.site.store.transaction() as work:
            if work.runs.find(run) is None:
                raise PageError("E9404")
            audit.write(work, who=who, did="result of run", object_=f"run {run}", why="download")
        lines: Iterator[bytes] = csv_lines(self.site.store, run)
        name = f'attachment; filename="run-{run}.csv"'
        return StreamingResponse(
            lines, media_type="text/csv; charset=utf-8", headers={"Content-Disposition": name}
        )


def _figures(seen: Progress, language: str) -> Mapping[str, object]:
    """What the page shows, by the names in its ``data-figure`` attributes: text alone."""
    until = seen.ends_at
    return {
        "state": text(RunState(seen.run.state), language),
        "running": seen.run.state == RunState.RUNNING,
        "begun": f"{seen.begun:,}",
        "items": f"{seen.items:,}",
        "percent": seen.percent,
        "a_minute": f"{seen.a_minute:,}",
        "ends_at": f"{until.astimezone(TAIPEI):%Y-%m-%d %H:%M:%S}" if until else "–",
        "counts": {state.value: f"{count:,}" for state, count in seen.counts.items()},
    }


def _copied(file: UploadFile, path: Path) -> None:
    with path.open("wb") as copy:
        while chunk := file.file.read(1 << 20):
            copy.write(chunk)


def _warning(refused: RunRefusedError | ImportFileError) -> dict[str, object]:
    words = [text(refused.reason, language) for language in ("zh-TW", "en")]
    return {"kind": "warn", "words": words}


def _worded(code: str | None, language: str) -> str:
    """The sentence of a reason without the parameters of one item."""
    known = CODES.get(code or "")
    if known is None:
        return code or "–"
    return text(known, language, **dict.fromkeys(known.parameters, "…"))


def _day(written: str, *, end: bool) -> datetime | None:
    if not written.strip():
        return None
    day = parse(written)
    return end_of(day) if end else start_of(day)
