"""The pages of the work: the readers, the queue, a job with its PIN, its progress and its end."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Form
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import JSONResponse, Response

from schema.stored_reasons import read_reason
from templates.codes import text
from token_station import visits
from token_station.errors import TokenError
from token_station.reader_views import ReaderStatus
from token_station.screen.jobs import JobPhase, view
from web.errors import PageError
from web.language import locale_of

if TYPE_CHECKING:
    from token_station.journal import JournalEntry
    from token_station.screen.jobs import JobView
    from token_station.screen.site import StationSite

Pin = Annotated[str, Form(max_length=64)]
ANSWERED_WITHIN = 5.0  #: seconds that a page waits for what a PIN brings
LIVE_FOR = 20.0  #: seconds that the page's script waits for something new
MOST_SHOWN = 200  #: jobs of the queue


def shuffled() -> str:
    """The ten digits in an order of their own for each page."""
    digits = list("0123456789")
    secrets.SystemRandom().shuffle(digits)
    return "".join(digits)


@dataclass(frozen=True)
class Work:
    site: StationSite

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/", self.index, methods=["GET"])
        router.add_api_route("/find", self.find, methods=["GET"])
        router.add_api_route("/live", self.live, methods=["GET"])
        router.add_api_route("/jobs/{renewal}", self.job, methods=["GET"])
        router.add_api_route("/jobs/{renewal}/pin", self.pin, methods=["POST"])
        router.add_api_route("/jobs/{renewal}/last-try", self.last_try, methods=["POST"])
        router.add_api_route("/jobs/{renewal}/give-up", self.give_up, methods=["POST"])
        return router

    def index(self, request: Request, missing: str = "") -> Response:
        clerk = self.site.clerk(request)
        jobs = self._jobs()
        return self.site.kit.page(
            request, "station/index.html", clerk=clerk, readers=self._readers(), jobs=jobs,
            all_jobs=len(self.site.worker.station.journal.open_jobs()), missing=missing,
        )  # fmt: skip

    def find(self, request: Request, serial: str = "") -> Response:
        """A scanned or typed serial leads to its job, or to what is on the token."""
        self.site.clerk(request)
        kit, wanted = self.site.kit, serial.strip().lower()
        jobs = self.site.worker.station.journal.open_jobs()
        found = next((job for job in jobs if job.token_serial == wanted), None)
        if found is not None:
            return kit.see(f"/jobs/{found.renewal}")
        if self.site.worker.reader_of(wanted) is not None:
            return kit.see(f"/tokens/{wanted}")
        return self.index(request, missing=wanted)

    def live(self, request: Request, seen: int = -1) -> Response:
        """Answer once something is new; asked by the page's script over and over."""
        self.site.clerk(request, by_hand=False)
        return JSONResponse({"version": self.site.worker.wait(seen, LIVE_FOR)})

    def job(self, request: Request, renewal: str) -> Response:
        clerk = self.site.clerk(request)
        return self._page(request, self._job(renewal), clerk=clerk)

    def pin(self, request: Request, renewal: str, pin: Pin) -> Response:
        clerk = self.site.clerk(request)
        job, worker = self._job(renewal), self.site.worker
        self.site.allows(clerk, job.token_serial or "")
        self.site.trail.record(
            clerk.name, "PIN entered", token=job.token_serial or "", renewal=renewal
        )
        version = worker.version
        worker.offer_pin(renewal, pin)
        worker.wait(version, ANSWERED_WITHIN)
        return self.site.kit.see(f"/jobs/{renewal}")

    def last_try(self, request: Request, renewal: str, sure: str = Form("")) -> Response:
        clerk, job = self.site.clerk(request), self._job(renewal)
        self.site.allows(clerk, job.token_serial or "")
        if not sure:
            return self._page(
                request, job, clerk=clerk, problem=self.site.problem(request, "E5107"), status=422
            )
        self.site.trail.record(
            clerk.name, "last try released", token=job.token_serial or "", renewal=renewal
        )
        self.site.worker.person.release_last_try(renewal)
        return self.site.kit.see(f"/jobs/{renewal}")

    def give_up(self, request: Request, renewal: str, agreed: str = Form("")) -> Response:
        """The token's holder gives up a key that is not ours, or the job ends here."""
        clerk, job, worker = self.site.clerk(request), self._job(renewal), self.site.worker
        self.site.allows(clerk, job.token_serial or "")
        what = "foreign key given up" if agreed else "foreign key kept"
        self.site.trail.record(clerk.name, what, token=job.token_serial or "", renewal=renewal)
        version = worker.version
        worker.person.answer_giving_up(renewal, agreed=bool(agreed))
        worker.wake()
        worker.wait(version, ANSWERED_WITHIN)
        return self.site.kit.see(f"/jobs/{renewal}")

    # -- what they show ------------------------------------------------------

    def _job(self, renewal: str) -> JournalEntry:
        job = self.site.worker.station.journal.job(renewal)
        if job is None:
            raise PageError("E9404")
        return job

    def _jobs(self) -> list[JobView]:
        worker = self.site.worker
        jobs = worker.station.journal.open_jobs()[:MOST_SHOWN]
        return sorted((view(worker, job) for job in jobs), key=lambda job: not job.reader)

    def _readers(self) -> list[dict[str, Any]]:
        journal = self.site.worker.station.journal
        found = []
        for number, seen in enumerate(self.site.worker.seen, start=1):
            job = journal.job(seen.renewal) if seen.renewal else None
            shown = view(self.site.worker, job) if job else None
            found.append({"number": number, "seen": seen, "job": shown, "said": seen.status.name})
        return found

    def _page(
        self,
        request: Request,
        job: JournalEntry,
        *,
        status: int = 200,
        **values: Any,  # noqa: ANN401
    ) -> Response:
        shown = view(self.site.worker, job)
        problem = values.pop("problem", None) or self._problem(request, shown)
        content = None
        if shown.phase is JobPhase.DONE:
            content = self._content(shown.serial)
        return self.site.kit.page(
            request, "station/job.html", status=status, job=shown, problem=problem,
            detail=text(read_reason(shown.detail), locale_of(request)),
            digits=shuffled(), content=content, **values,
        )  # fmt: skip

    def _problem(self, request: Request, job: JobView) -> dict[str, Any] | None:
        outcome = job.outcome
        if outcome is None or job.phase in {JobPhase.DONE, JobPhase.INSERT}:
            return None
        if outcome.status is ReaderStatus.PIN_BLOCKED:
            return self.site.problem(request, "E5103")
        if job.phase is JobPhase.LAST_TRY:
            return self.site.problem(request, "E5102")
        if outcome.status is ReaderStatus.PIN_WRONG:
            left = outcome.tries_left
            if left is None:
                return self.site.problem(request, "E5104")
            return self.site.problem(
                request, "E5101", f"還可以試 {left} 次。", f"{left} tries left."
            )
        return None

    def _content(self, serial: str) -> visits.TokenContent | None:
        try:
            return visits.content(self.site.worker.station, serial)
        except TokenError:
            return None  # pulled by now: the page goes without
