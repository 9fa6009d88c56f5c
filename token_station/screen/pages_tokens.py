"""The pages of a token: its content, a change of its PIN, its unblocking by two persons."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Form
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import Response

from renewal.rules.certificate_statement import statement
from token_station import visits
from token_station.errors import TokenError
from token_station.journal import Step
from token_station.screen.clerks import Role
from token_station.screen.pages_work import shuffled
from web.errors import PageError
from web.pdf import PdfUnavailableError, pdf_of

if TYPE_CHECKING:
    from token_station.screen.clerks import Clerk
    from token_station.screen.site import StationSite

Typed = Annotated[str, Form(max_length=200)]


@dataclass(frozen=True)
class Tokens:
    site: StationSite

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/tokens", self.which, methods=["GET"])
        router.add_api_route("/tokens/{serial}", self.content, methods=["GET"])
        router.add_api_route("/tokens/{serial}/statement", self.statement, methods=["GET"])
        router.add_api_route("/tokens/{serial}/statement.pdf", self.pdf, methods=["GET"])
        router.add_api_route("/tokens/{serial}/pin", self.pin_page, methods=["GET"])
        router.add_api_route("/tokens/{serial}/pin", self.change_pin, methods=["POST"])
        router.add_api_route("/tokens/{serial}/unblock", self.unblock_page, methods=["GET"])
        router.add_api_route("/tokens/{serial}/unblock/ask", self.ask, methods=["POST"])
        router.add_api_route("/tokens/{serial}/unblock/approve", self.approve, methods=["POST"])
        router.add_api_route("/tokens/{serial}/unblock", self.unblock, methods=["POST"])
        return router

    # -- content -------------------------------------------------------------

    def which(self, request: Request, to: str = "") -> Response:
        """Choose one of the tokens that are in the readers."""
        clerk = self.site.clerk(request)
        tokens = [seen for seen in self.site.worker.seen if seen.token_serial]
        then = to if to in {"pin", "unblock"} else ""
        if len(tokens) == 1:
            return self.site.kit.see(f"/tokens/{tokens[0].token_serial}/{then}".rstrip("/"))
        return self.site.kit.page(
            request, "station/tokens.html", clerk=clerk, tokens=tokens, then=then
        )

    def content(self, request: Request, serial: str, changed: int = 0) -> Response:
        clerk = self.site.clerk(request)
        found = self._content(serial)
        return self.site.kit.page(
            request, "station/token.html", clerk=clerk, token=found, changed=changed
        )

    def _content(self, serial: str) -> visits.TokenContent:
        try:
            return visits.content(self.site.worker.station, serial)
        except TokenError as error:
            raise PageError("E4401") from error

    # -- its statement -------------------------------------------------------

    def statement(self, request: Request, serial: str) -> Response:
        clerk = self.site.clerk(request)
        self.site.trail.record(clerk.name, "statement shown", token=serial)
        return self.site.kit.page(
            request, "station/statement.html", clerk=clerk, serial=serial,
            **self._statement(serial),
        )  # fmt: skip

    def pdf(self, request: Request, serial: str) -> Response:
        """The same sheet as a file; the trail keeps its hash."""
        clerk = self.site.clerk(request)
        html = self.site.kit.text(
            request, "station/statement-print.html", clerk=clerk, **self._statement(serial)
        )
        try:
            made = pdf_of(html)
        except PdfUnavailableError as error:
            raise PageError("E9501") from error
        digest = hashlib.sha256(made).hexdigest()
        self.site.trail.record(
            clerk.name, "statement as PDF", token=serial, note=f"sha256 {digest}"
        )
        name = {"Content-Disposition": f'attachment; filename="statement-{serial}.pdf"'}
        return Response(made, media_type="application/pdf", headers=name)

    def _statement(self, serial: str) -> dict[str, Any]:
        now = self.site.kit.clock.now()
        try:
            with visits.visited(self.site.worker.station, serial) as (_, session):
                found = statement([one.der for one in session.certificates()], now)
        except TokenError as error:
            raise PageError("E4401") from error
        if found is None:
            raise PageError("E4407")
        jobs = self.site.worker.station.journal.jobs()
        done = [job.at for job in jobs if job.token_serial == serial and job.step is Step.DONE]
        applied = datetime.fromisoformat(max(done)) if done else now
        return {"statement": found, "applied": applied, "check_code": found.check_code}

    # -- PIN -----------------------------------------------------------------

    def pin_page(self, request: Request, serial: str) -> Response:
        return self._pin_page(request, self.site.clerk(request), serial)

    def change_pin(
        self, request: Request, serial: str, *, old: Typed, new: Typed, again: Typed,
        sure: Annotated[str, Form()] = "",
    ) -> Response:  # fmt: skip
        clerk = self.site.clerk(request)
        self.site.allows(clerk, serial)
        if new != again:
            problem = self.site.problem(request, "E5108")
            return self._pin_page(request, clerk, serial, problem=problem, status=422)
        self.site.trail.record(clerk.name, "PIN change begun", token=serial)
        try:
            visits.change_pin(
                self.site.worker.station, serial, old, new, last_try_released=bool(sure)
            )
        except TokenError as error:
            self.site.trail.record(
                clerk.name, "PIN change failed", token=serial, note=type(error).__name__
            )
            problem = self.site.problem_of(request, error)
            return self._pin_page(request, clerk, serial, problem=problem, status=409)
        self.site.trail.record(clerk.name, "PIN changed", token=serial)
        return self.site.kit.see(f"/tokens/{serial}?changed=1")

    def _pin_page(
        self, request: Request, clerk: Clerk, serial: str, *,
        problem: dict[str, Any] | None = None, status: int = 200,
    ) -> Response:  # fmt: skip
        return self.site.kit.page(
            request, "station/pin.html", status=status, clerk=clerk, token=self._content(serial),
            problem=problem, digits=shuffled(),
        )  # fmt: skip

    # -- unblocking ----------------------------------------------------------

    def unblock_page(self, request: Request, serial: str) -> Response:
        return self._unblock_page(request, self.site.clerk(request), serial)

    def ask(self, request: Request, serial: str, why: Typed) -> Response:
        """The clerk has seen the customer's papers."""
        clerk = self.site.clerk(request)
        self.site.allows(clerk, serial)
        if not why.strip():
            problem = self.site.problem(request, "E5302")
            return self._unblock_page(request, clerk, serial, problem=problem, status=422)
        self.site.trail.record(clerk.name, "unblock asked", token=serial, note=why.strip())
        self._remember(request, serial, asked_by=clerk.name, why=why.strip())
        return self.site.kit.see(f"/tokens/{serial}/unblock")

    def approve(
        self, request: Request, serial: str, name: Typed, password: Typed, note: Typed
    ) -> Response:
        """A supervisor, who is somebody else, agrees at this very computer."""
        clerk = self.site.clerk(request)
        asked = self._remembered(request, serial)
        why = self._why_not_approved(asked, name, password, note)
        if why:
            self.site.trail.record(clerk.name, "unblock not approved", token=serial, note=why)
            problem = self.site.problem(request, why)
            return self._unblock_page(request, clerk, serial, problem=problem, status=409)
        self.site.trail.record(name, "unblock approved", token=serial, note=note.strip())
        self._remember(request, serial, **asked, approved_by=name)
        return self.site.kit.see(f"/tokens/{serial}/unblock")

    def _why_not_approved(self, asked: dict[str, str], name: str, password: str, note: str) -> str:
        if not asked.get("asked_by") or not note.strip():
            return "E5302"
        if name == asked["asked_by"]:
            return "E5303"
        supervisor = self.site.clerks.check(name, password)
        if supervisor is None or supervisor.role is not Role.SUPERVISOR:
            return "E5304"
        return ""

    def unblock(
        self, request: Request, serial: str, *, puk: Typed, new: Typed, again: Typed,
        sure: Annotated[str, Form()] = "",
    ) -> Response:  # fmt: skip
        clerk = self.site.clerk(request)
        asked = self._remembered(request, serial)
        if not asked.get("approved_by"):
            raise PageError("E5304")
        if new != again:
            problem = self.site.problem(request, "E5108")
            return self._unblock_page(request, clerk, serial, problem=problem, status=422)
        self.site.trail.record(clerk.name, "unblock begun", token=serial)
        try:
            visits.unblock(self.site.worker.station, serial, puk, new, last_try_released=bool(sure))
        except TokenError as error:
            self.site.trail.record(
                clerk.name, "unblock failed", token=serial, note=type(error).__name__
            )
            problem = self.site.problem_of(request, error)
            return self._unblock_page(request, clerk, serial, problem=problem, status=409)
        self.site.trail.record(clerk.name, "unblocked", token=serial)
        self._remember(request, serial)
        return self.site.kit.see(f"/tokens/{serial}?changed=2")

    def _unblock_page(
        self, request: Request, clerk: Clerk, serial: str, *,
        problem: dict[str, Any] | None = None, status: int = 200,
    ) -> Response:  # fmt: skip
        asked = self._remembered(request, serial)
        by = self.site.clerks.find(asked.get("asked_by", ""))
        return self.site.kit.page(
            request, "station/unblock.html", status=status, clerk=clerk, asked=asked, by=by,
            approver=self.site.clerks.find(asked.get("approved_by", "")),
            token=self._content(serial), problem=problem,
            puk_left=visits.puk_left(self.site.worker.station, serial),
        )  # fmt: skip

    def _remember(self, request: Request, serial: str, **about: str) -> None:
        session = self.site.kit.signed_in(request)
        self.site.kit.keep(request, session, unblock={"serial": serial, **about})

    def _remembered(self, request: Request, serial: str) -> dict[str, str]:
        body = self.site.kit.signed_in(request).body
        found: dict[str, str] = dict(body.get("unblock", {}))
        return (
            {k: v for k, v in found.items() if k != "serial"}
            if (found.get("serial") == serial)
            else {}
        )
