"""The pages by which a customer revokes a certificate for good, or puts it on hold."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the annotations

from centre.actions import CodeNotSent, CodeResult
from centre.pages import codes
from centre.pages.log_in import ERROR_OF_CODE
from renewal.errors import NotNowError
from renewal.rules.revocation import CustomersReason  # noqa: TC001 - FastAPI reads the annotations
from schema.events import RevocationReason
from schema.policy import Purpose, Storage
from web.errors import PageError
from web.typed import digits_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from centre.actions import CodeAnswer
    from centre.overview import Line
    from centre.pages.site import Site

    Act = Callable[..., CodeAnswer | CodeNotSent]

Typed = Annotated[str, Form(max_length=20)]


@dataclass(frozen=True)
class Ending:
    """``purpose``: revoke or suspend; the pages differ in their words and in what follows."""

    site: Site
    purpose: Purpose

    @property
    def _at(self) -> str:
        return f"/{self.purpose.value}"

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route(self._at, self.page, methods=["GET"])
        router.add_api_route(f"{self._at}/code", self.send_code, methods=["POST"])
        router.add_api_route(self._at, self.end, methods=["POST"])
        router.add_api_route(f"{self._at}/done", self.done, methods=["GET"])
        return router

    def page(self, request: Request, certificate: int | None = None) -> Response:
        session, customer = self.site.reader(request)
        line = self._line(customer, certificate)
        limit = self.site.policies.of(line.product).online_revocations_per_year
        return self.site.kit.page(
            request,
            "centre/ending.html",
            line=line,
            purpose=self.purpose.value,
            at=self._at,
            seen=self.site.overview(customer),
            limit=limit if self.purpose is Purpose.REVOKE else None,
            used=self.site.centre.revoked_this_year(customer),
            onetime=codes.shown(
                self.site, session, certificate=line.certificate, purpose=self.purpose
            ),
            problem=self.site.remembered(request, session),
        )

    def _line(self, customer: int, certificate: int | None) -> Line:
        """The one that was named, else the first that this can be done to."""
        if certificate is not None:
            return self.site.line(customer, certificate)
        in_browser = self.purpose is Purpose.REVOKE
        lines = self.site.overview(customer).lines
        fitting = [one for one in lines if (one.storage is Storage.BROWSER) is in_browser]
        if not fitting:
            raise PageError("E9404")
        return fitting[0]

    def send_code(self, request: Request, certificate: Annotated[int, Form()]) -> Response:
        session, customer = self.site.reader(request)
        line = self.site.line(customer, certificate)
        codes.ask(self.site, request, session, certificate=line.certificate, purpose=self.purpose)
        return self.site.kit.see(f"{self._at}?certificate={line.certificate}")

    def end(
        self,
        request: Request,
        certificate: Annotated[int, Form()],
        code: Typed = "",
        sure: Typed = "",
        reason: CustomersReason = RevocationReason.CESSATION_OF_OPERATION,
    ) -> Response:
        """The code first, then an explicit yes, then it is done."""
        session, customer = self.site.reader(request)
        line = self.site.line(customer, certificate)
        asked = session.body.get("code") or {}
        fits = (self.purpose.value, line.certificate)
        if sure != "yes":
            error: str | None = "E4209"
        elif (asked.get("purpose"), asked.get("certificate")) != fits:
            error = "E4202"
        else:
            act = self._act(request, reason)
            error = self._ended(act, line, code, asked["challenge"], session.id)
        if error is not None:
            self.site.remember(request, session, error)
            return self.site.kit.see(f"{self._at}?certificate={line.certificate}")
        self.site.kit.keep(request, session, code=None)
        done = self.site.kit.see(f"{self._at}/done?certificate={line.certificate}")
        return self.site.kit.rotate(request, done)

    def _act(self, request: Request, reason: CustomersReason) -> Act:
        centre = self.site.centre_for(request)
        return (
            partial(centre.revoke, reason=reason)
            if self.purpose is Purpose.REVOKE
            else centre.suspend
        )

    def _ended(self, act: Act, line: Line, code: str, challenge: str, session: str) -> str | None:
        try:
            answer = act(
                line.certificate, challenge=challenge, code=digits_of(code), session=session
            )
        except NotNowError:
            return "E4110"
        if isinstance(answer, CodeNotSent):
            return self.site.error_of(answer.why)
        return None if answer.result is CodeResult.RIGHT else ERROR_OF_CODE[answer.result]

    def done(self, request: Request, certificate: int) -> Response:
        _, customer = self.site.reader(request)
        line = self.site.line(customer, certificate)
        return self.site.kit.page(
            request, "centre/ending-done.html", line=line, purpose=self.purpose.value
        )
