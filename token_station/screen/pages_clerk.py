"""The pages by which a clerk logs in, locks the station, unlocks it and leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the annotations

if TYPE_CHECKING:
    from token_station.screen.site import StationSite

Typed = Annotated[str, Form(max_length=128)]


@dataclass(frozen=True)
class ClerkPages:
    site: StationSite

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/login", self.page, methods=["GET"])
        router.add_api_route("/login", self.log_in, methods=["POST"])
        router.add_api_route("/log-out", self.log_out, methods=["POST"])
        router.add_api_route("/lock", self.locked_page, methods=["GET"])
        router.add_api_route("/lock", self.lock, methods=["POST"])
        router.add_api_route("/unlock", self.unlock, methods=["POST"])
        return router

    def page(self, request: Request, ended: int = 0) -> Response:
        return self._page(request, ended=ended)

    def _page(self, request: Request, *, ended: int = 0, wrong: bool = False) -> Response:
        problem = self.site.problem(request, "E9422") if wrong else None
        return self.site.kit.page(
            request, "station/login.html", status=401 if wrong else 200, problem=problem,
            ended=ended, nobody=not self.site.clerks.all(), clerk=None,
        )  # fmt: skip

    def log_in(self, request: Request, name: Typed, password: Typed) -> Response:
        kit = self.site.kit
        clerk = self.site.clerks.check(name.strip(), password)
        if clerk is None:
            self.site.trail.record("-", "log-in refused")  # what was typed may be a password
            return self._page(request, wrong=True)
        self.site.trail.record(clerk.name, "logged in")
        session = kit.sessions.rotate(kit.sessions.start(kit.face), subject=clerk.name)
        session = kit.keep(request, session, active_at=kit.clock.now().isoformat())
        return kit.give_cookie(request, kit.see("/"), session)

    def log_out(self, request: Request) -> Response:
        kit = self.site.kit
        session = kit.session_of(request)
        if session is not None:
            self.site.trail.record(session.subject, "logged out")
            kit.sessions.end(session)
        return kit.take_cookie(request, kit.see("/login"))

    def locked_page(self, request: Request) -> Response:
        return self._locked_page(request, wrong=False)

    def _locked_page(self, request: Request, *, wrong: bool) -> Response:
        session = self.site.kit.signed_in(request)
        clerk = self.site.clerks.find(session.subject)
        busy = [seen for seen in self.site.worker.seen if seen.renewal]
        problem = self.site.problem(request, "E9422") if wrong else None
        return self.site.kit.page(
            request, "station/lock.html", status=401 if wrong else 200, clerk=clerk, busy=busy,
            problem=problem,
        )  # fmt: skip

    def lock(self, request: Request) -> Response:
        session = self.site.kit.signed_in(request)
        self.site.trail.record(session.subject, "locked")
        self.site.kit.keep(request, session, locked=True)
        return self.site.kit.see("/lock")

    def unlock(self, request: Request, password: Typed) -> Response:
        kit = self.site.kit
        session = kit.signed_in(request)
        if self.site.clerks.check(session.subject, password) is None:
            self.site.trail.record(session.subject, "unlock refused")
            return self._locked_page(request, wrong=True)
        self.site.trail.record(session.subject, "unlocked screen")
        kit.keep(request, session, locked=None, active_at=kit.clock.now().isoformat())
        return kit.see("/")
