"""The pages that show how things stand: the certificates, the check of this computer, help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import Response

if TYPE_CHECKING:
    from centre.pages.site import Site


@dataclass(frozen=True)
class Home:
    site: Site

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/", self.home, methods=["GET"])
        router.add_api_route("/environment", self.environment, methods=["GET"])
        router.add_api_route("/check", self.environment, methods=["GET"])
        router.add_api_route("/help", self.help, methods=["GET"])
        router.add_api_route("/alive", self.alive, methods=["POST"])
        return router

    def home(self, request: Request) -> Response:
        kit = self.site.kit
        session = kit.session_of(request)
        if session is None or not session.subject:
            return kit.see("/login")
        if "backup" in session.body:  # it cannot be skipped
            return kit.see("/backup")
        seen = self.site.overview(int(session.subject))
        problem = self.site.remembered(request, session)
        return kit.page(request, "centre/home.html", seen=seen, problem=problem)

    def environment(self, request: Request) -> Response:
        kit = self.site.kit
        session = kit.session_of(request)
        customer = int(session.subject) if session and session.subject else None
        seen = self.site.overview(customer) if customer is not None else None
        return kit.page(request, "centre/environment.html", seen=seen)

    def help(self, request: Request) -> Response:
        self.site.kit.session_of(request)
        return self.site.kit.page(request, "centre/help.html")

    def alive(self, request: Request) -> Response:
        """The reader is still there: the session goes on."""
        self.site.kit.signed_in(request)
        return Response(status_code=204)
