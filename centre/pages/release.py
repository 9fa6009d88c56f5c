"""The page by which a user code sets its release password, after a one-time code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the annotations

from centre.actions import CodeResult
from centre.pages import codes
from centre.pages.log_in import ERROR_OF_CODE
from centre.release import ReleasePasswords
from schema.policy import Purpose
from web.errors import PageError
from web.typed import digits_of

if TYPE_CHECKING:
    from centre.overview import Line
    from centre.pages.site import Site
    from web.sessions import Session

Typed = Annotated[str, Form(max_length=64)]


@dataclass(frozen=True)
class Release:
    site: Site

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/release", self.page, methods=["GET"])
        router.add_api_route("/release/code", self.send_code, methods=["POST"])
        router.add_api_route("/release", self.set, methods=["POST"])
        return router

    def page(self, request: Request, certificate: int) -> Response:
        session, customer = self.site.reader(request)
        line = self._line(customer, certificate)
        return self.site.kit.page(
            request, "centre/release.html", line=line, mobile=self.site.overview(customer).mobile,
            onetime=codes.shown(
                self.site, session, certificate=line.certificate, purpose=Purpose.RELEASE
            ),
            problem=self.site.remembered(request, session),
        )  # fmt: skip

    def _line(self, customer: int, certificate: int) -> Line:
        line = self.site.line(customer, certificate)
        if not self.site.policies.of(line.product).confirm.release_password:
            raise PageError("E9404")
        return line

    def send_code(self, request: Request, certificate: Annotated[int, Form()]) -> Response:
        session, customer = self.site.reader(request)
        line = self._line(customer, certificate)
        codes.ask(
            self.site, request, session, certificate=line.certificate, purpose=Purpose.RELEASE
        )
        return self.site.kit.see(f"/release?certificate={line.certificate}")

    def set(
        self,
        request: Request,
        certificate: Annotated[int, Form()],
        code: Typed = "",
        first: Typed = "",
        again: Typed = "",
    ) -> Response:
        session, customer = self.site.reader(request)
        line = self._line(customer, certificate)
        error = self._set(request, session, line, code=code, first=first, again=again)
        if error is not None:
            self.site.remember(request, session, error)
            return self.site.kit.see(f"/release?certificate={line.certificate}")
        self.site.kit.keep(request, session, code=None)
        there = self.site.kit.see(f"/token/terms?certificate={line.certificate}")
        return self.site.kit.rotate(request, there)

    def _set(
        self, request: Request, session: Session, line: Line, *, code: str, first: str, again: str
    ) -> str | None:
        """Set it, or answer the error; a password that is not allowed costs no try of the code."""
        asked = session.body.get("code") or {}
        if (asked.get("purpose"), asked.get("certificate")) != (
            Purpose.RELEASE.value,
            line.certificate,
        ):
            return "E4202"
        customer, user_code = int(session.subject), str(session.body["user_code"])
        passwords = ReleasePasswords(self.site.store)
        why = passwords.why_not_allowed(customer, user_code, first, again)
        if why is not None:
            return why
        answer = self.site.centre_for(request).enter_code(
            asked["challenge"], digits_of(code), session=session.id,
            action=Purpose.RELEASE.value, certificate=line.certificate,
        )  # fmt: skip
        if answer.result is not CodeResult.RIGHT:
            return ERROR_OF_CODE[answer.result]
        passwords.set(customer, user_code, first)
        return None
