"""Bulk runs as a JSON API for the bank's own systems: `/api/v1`, with the rights of the console."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path as File
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form, Path, Query, UploadFile
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import JSONResponse, Response, StreamingResponse

from back_office.console.api_values import (
    FeesShown,
    ItemsChanged,
    MessagesShown,
    PreviewShown,
    RowsChosen,
    RowShown,
    RunFilter,
    RunProblem,
    RunShown,
    StaffLogIn,
    StaffSession,
    ThrottleAsked,
    WithReason,
)
from back_office.imports.report import ImportFileError
from back_office.runs.errors import RunRefusedError
from back_office.runs.faulty import faulty_rows
from back_office.runs.plan import HOURS, PER_MINUTE, Filter, RunTerms
from back_office.runs.preview import messages_of, preview
from back_office.runs.progress import progress_of
from back_office.runs.result import code_of, csv_lines
from back_office.staff import StaffRefusedError, StaffRole
from renewal.store import audit
from renewal.store import runs as queries
from schema.states import RunState
from schema.taipei import end_of, start_of
from templates.codes import text
from web.api_routes import ApiRoutes
from web.app import trace_of
from web.errors import PageError
from web.language import locale_of
from web.sessions import IDLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from back_office.console.site import ConsoleReader, ConsoleSite
    from renewal.db.rows import Run
    from schema.reasons import Reason

RunId = Annotated[int, Path(ge=1, le=2**53)]
Behind = Annotated[int, Query(ge=0, le=2**53)]
Many = Annotated[int, Query(ge=1, le=1_000)]
_CHUNK = 1 << 20


_REFUSALS = (400, 401, 403, 404, 405, 409, 413, 503)
_BOTH = (StaffRole.MAKER, StaffRole.CHECKER)


#: Of an act: what it has changed, or the refusal with its code.
Answer = RunShown | ItemsChanged | Response


@dataclass(frozen=True)
class RunsApi:
    site: ConsoleSite

    def routes(self) -> APIRouter:
        api = ApiRoutes("runs", RunProblem, _REFUSALS)
        at = api.at

        at("POST", "/sessions", self.log_in, StaffSession, 201)
        at("DELETE", "/sessions/current", self.log_out, None, 204)
        at("GET", "/runs", self.runs, list[RunShown])
        at("POST", "/runs", self.from_filter, RunShown, 201)
        at("POST", "/runs/from-file", self.from_file, RunShown, 201)
        at("GET", "/runs/{run}", self.run, RunShown)
        at("GET", "/runs/{run}/preview", self.preview, PreviewShown)
        at("GET", "/runs/{run}/errors", self.errors, list[RowShown])
        at("GET", "/runs/{run}/result", self.result)
        at("POST", "/runs/{run}/submission", self.submit, RunShown)
        at("POST", "/runs/{run}/approval", self.approve, RunShown)
        at("POST", "/runs/{run}/rejection", self.reject, RunShown)
        at("POST", "/runs/{run}/start", self.start, RunShown)
        at("POST", "/runs/{run}/pause", self.pause, RunShown)
        at("POST", "/runs/{run}/resumption", self.resume, RunShown)
        at("POST", "/runs/{run}/cancellation", self.cancel, RunShown)
        at("POST", "/runs/{run}/throttle", self.throttle, RunShown)
        at("POST", "/runs/{run}/retry", self.retry, ItemsChanged)
        at("POST", "/runs/{run}/skip", self.skip, ItemsChanged)
        return api.router

    # --- who ------------------------------------------------------------------------------------

    def log_in(self, request: Request, asked: StaffLogIn) -> StaffSession:
        address = request.client.host if request.client else ""
        try:
            member = self.site.staff.log_in(
                asked.name, asked.password, address=address, code=asked.code
            )
        except StaffRefusedError as error:
            raise PageError(error.code) from error
        sessions = self.site.kit.sessions
        session = sessions.rotate(sessions.start(self.site.kit.face), subject=member.name)
        session = sessions.keep(
            session, roles=member.roles.split(","), must_change=member.must_change or None
        )
        return StaffSession(token=session.id, idle_seconds=int(IDLE.total_seconds()))

    def log_out(self, request: Request) -> Response:
        self.site.kit.sessions.end(self.site.kit.signed_in(request))
        return Response(status_code=204)

    # --- read -----------------------------------------------------------------------------------

    def runs(
        self,
        request: Request,
        state: RunState | None = None,
        before: Behind = 0,
        at_most: Many = 100,
    ) -> list[RunShown]:
        self.site.reader(request)
        with self.site.store.snapshot() as look:
            found = queries.listed(look, state=state, before=before or None, at_most=at_most)
        return [self._shown(row.id) for row in found]

    def run(self, request: Request, run: RunId) -> RunShown:
        self._reader(request, run)
        return self._shown(run)

    def preview(self, request: Request, run: RunId) -> PreviewShown:
        self._reader(request, run)
        with self.site.store.snapshot() as look:
            seen = preview(look, run, self.site.policies)
            planned = messages_of(look, run, self.site.policies, self.site.renderer)
        return PreviewShown(
            run=run,
            rows=seen.rows,
            to_begin=dict(seen.by_product),
            excluded=dict(seen.excluded),
            refused_rows=dict(seen.refused_rows),
            fees=[FeesShown(product=it.product, items=it.count, each=it.each) for it in seen.fees],
            messages=[
                MessagesShown(
                    product=it.product,
                    channel=it.channel,
                    locale=it.locale,
                    messages=it.count,
                    segments=it.all_segments,
                )
                for it in planned
            ],
        )

    def errors(
        self, request: Request, run: RunId, after: Behind = 0, at_most: Many = 100
    ) -> list[RowShown]:
        """The rows of its list that are not renewed, with codes."""
        self._reader(request, run)
        language = locale_of(request)
        with self.site.store.snapshot() as look:
            found = faulty_rows(look, run, after=after, at_most=at_most)
        return [
            RowShown(
                row=it.number,
                column=it.column,
                code=it.code,
                reason=it.reason(language),
                remedy=it.remedy(language),
                certificate=it.certificate,
            )
            for it in found
        ]

    def result(self, request: Request, run: RunId) -> Response:
        """One line for each item, as CSV."""
        reader = self._reader(request, run)
        with self.site.store.transaction() as work:
            audit.write(work, who=reader.name, did="result of run", object_=f"run {run}", why="API")
        return StreamingResponse(csv_lines(self.site.store, run), media_type="text/csv")

    # --- make -----------------------------------------------------------------------------------

    def from_filter(self, request: Request, asked: RunFilter) -> Answer:
        reader = self.site.reader(request, StaffRole.MAKER)
        chosen = Filter(
            product=asked.product,
            branch=asked.branch,
            ends_from=start_of(asked.ends_from) if asked.ends_from else None,
            ends_until=end_of(asked.ends_until) if asked.ends_until else None,
        )
        terms = RunTerms(
            name=asked.name or str(chosen), per_minute=asked.per_minute, hours=asked.hours
        )
        try:
            run = self.site.planner.from_filter(chosen, terms, who=reader.name)
        except RunRefusedError as refused:
            return _refusal(request, refused.reason)
        return self._shown(run.id)

    def from_file(
        self,
        request: Request,
        file: UploadFile,
        name: Annotated[str, Form(max_length=80)] = "",
        per_minute: Annotated[int, Form(ge=1, le=1_000_000)] = PER_MINUTE,
        hours: Annotated[str, Form(max_length=64)] = HOURS,
    ) -> Answer:
        reader = self.site.reader(request, StaffRole.MAKER)
        source = File(file.filename or "list").name
        terms = RunTerms(name=name or source, per_minute=per_minute, hours=hours)
        with tempfile.TemporaryDirectory() as folder:
            path = File(folder) / "list"
            with path.open("wb") as copy:
                while chunk := file.file.read(_CHUNK):
                    copy.write(chunk)
            try:
                run = self.site.planner.from_file(path, terms, who=reader.name, source=source)
            except RunRefusedError as refused:
                return _refusal(request, refused.reason)
            except ImportFileError as error:
                raise PageError("E9400") from error
        return self._shown(run.id)

    # --- act ------------------------------------------------------------------------------------

    def submit(self, request: Request, run: RunId, given: WithReason) -> Answer:
        who = self._reader(request, run, StaffRole.MAKER).name
        act = self.site.runs.submit
        return self._acted(request, lambda: act(run, who=who, why=given.why))

    def approve(self, request: Request, run: RunId, given: WithReason) -> Answer:
        me = self._reader(request, run, StaffRole.CHECKER)
        act = self.site.runs.approve
        return self._acted(request, lambda: act(run, who=me.name, note=given.why, roles=me.roles))

    def reject(self, request: Request, run: RunId, given: WithReason) -> Answer:
        who = self._reader(request, run, StaffRole.CHECKER).name
        act = self.site.runs.reject
        return self._acted(request, lambda: act(run, who=who, note=given.why))

    def start(self, request: Request, run: RunId, given: WithReason) -> Answer:
        who = self._reader(request, run, StaffRole.MAKER).name
        act = self.site.runs.start
        return self._acted(request, lambda: act(run, who=who, why=given.why))

    def pause(self, request: Request, run: RunId, given: WithReason) -> Answer:
        who = self._reader(request, run, *_BOTH).name
        act = self.site.runs.pause
        return self._acted(request, lambda: act(run, who=who, why=given.why))

    def resume(self, request: Request, run: RunId, given: WithReason) -> Answer:
        who = self._reader(request, run, *_BOTH).name
        act = self.site.runs.resume
        return self._acted(request, lambda: act(run, who=who, why=given.why))

    def cancel(self, request: Request, run: RunId, given: WithReason) -> Answer:
        who = self._reader(request, run, *_BOTH).name
        act = self.site.runs.cancel
        return self._acted(request, lambda: act(run, who=who, why=given.why))

    def throttle(self, request: Request, run: RunId, asked: ThrottleAsked) -> Answer:
        who = self._reader(request, run, *_BOTH).name
        act = self.site.runs.throttle
        return self._acted(request, lambda: act(run, asked.per_minute, who=who, why=asked.why))

    def retry(self, request: Request, run: RunId, asked: RowsChosen) -> Answer:
        """All failed items, or those of these rows."""
        who = self._reader(request, run, StaffRole.MAKER).name
        act = self.site.runs.retry
        return self._acted(request, lambda: act(run, who=who, why=asked.why, numbers=asked.rows))

    def skip(self, request: Request, run: RunId, asked: RowsChosen) -> Answer:
        who = self._reader(request, run, StaffRole.MAKER).name
        act = self.site.runs.skip
        return self._acted(request, lambda: act(run, who=who, why=asked.why, numbers=asked.rows))

    # --- what they share ------------------------------------------------------------------------

    def _reader(self, request: Request, run: int, *roles: StaffRole) -> ConsoleReader:
        reader = self.site.reader(request, *roles)
        with self.site.store.snapshot() as look:
            if look.runs.find(run) is None:
                raise PageError("E9404")
        return reader

    def _acted(self, request: Request, act: Callable[[], Run | int]) -> Answer:
        try:
            done = act()
        except RunRefusedError as refused:
            return _refusal(request, refused.reason)
        return ItemsChanged(items=done) if isinstance(done, int) else self._shown(done.id)

    def _shown(self, run: int) -> RunShown:
        with self.site.store.snapshot() as look:
            seen = progress_of(look, run)
        row = seen.run
        return RunShown(
            run=row.id,
            name=row.name,
            state=RunState(row.state),
            source=row.source,
            made_by=row.made_by,
            submitted_by=row.submitted_by,
            approved_by=row.approved_by,
            seconded_by=row.seconded_by,
            per_minute=row.per_minute,
            items={state.value: count for state, count in seen.counts.items()},
            begun=seen.begun,
            a_minute=seen.a_minute,
            ends_at=seen.ends_at,
        )


def _refusal(request: Request, reason: Reason) -> Response:
    problem = RunProblem(
        code=code_of(reason), title=text(reason, locale_of(request)), trace=trace_of(request)
    )
    return JSONResponse(problem.model_dump(), status_code=409)
