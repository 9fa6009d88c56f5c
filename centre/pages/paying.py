"""The pages of money and of what has happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the annotations

from centre import payments
from centre.actions import CodeNotSent
from centre.timeline import stories
from schema.policy import Storage
from schema.taipei import TAIPEI
from web.errors import PageError

if TYPE_CHECKING:
    from datetime import datetime

    from centre.overview import Line
    from centre.pages.site import Site


@dataclass(frozen=True)
class Paying:
    site: Site

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/pay", self.pay_page, methods=["GET"])
        router.add_api_route("/pay", self.pay, methods=["POST"])
        router.add_api_route("/payments", self.payments_page, methods=["GET"])
        router.add_api_route("/payments/{payment}", self.receipt, methods=["GET"])
        router.add_api_route("/history", self.history, methods=["GET"])
        return router

    # --- money ----------------------------------------------------------------------------------

    def pay_page(self, request: Request, certificate: int | None = None) -> Response:
        session, customer = self.site.reader(request)
        line = self._line(customer, certificate)
        with self.site.store.snapshot() as look:
            row = look.certificates.get(line.certificate)
            quote = payments.quote(look, row, self.site.policies)
        if quote is None:
            raise PageError("E4605")
        return self.site.kit.page(
            request, "centre/pay.html", line=line, quote=quote,
            problem=self.site.remembered(request, session),
        )  # fmt: skip

    def _line(self, customer: int, certificate: int | None) -> Line:
        if certificate is not None:
            return self.site.line(customer, certificate)
        for line in self.site.overview(customer).lines:
            if line.storage is not Storage.BROWSER:
                return line
        raise PageError("E9404")

    def pay(self, request: Request, certificate: Annotated[int, Form()]) -> Response:
        session, customer = self.site.reader(request)
        line = self.site.line(customer, certificate)
        answer = self.site.centre.pay(line.certificate)
        if isinstance(answer, CodeNotSent):
            self.site.remember(request, session, self.site.error_of(answer.why))
            return self.site.kit.see(f"/pay?certificate={line.certificate}")
        return self.site.kit.see("/payments")

    def payments_page(self, request: Request) -> Response:
        _, customer = self.site.reader(request)
        with self.site.store.snapshot() as look:
            found = payments.paid(look, customer)
        return self.site.kit.page(request, "centre/payments.html", payments=found)

    def receipt(self, request: Request, payment: str) -> Response:
        """One payment, to be printed."""
        _, customer = self.site.reader(request)
        with self.site.store.snapshot() as look:
            one = next((it for it in payments.paid(look, customer) if it.payment == payment), None)
            if one is None:
                raise PageError("E9404")
            quote = payments.quote(look, look.certificates.get(one.certificate), self.site.policies)
        return self.site.kit.page(
            request, "centre/receipt.html", one=one, account=quote.account if quote else "",
            line=self.site.line(customer, one.certificate),
        )  # fmt: skip

    # --- what has happened ----------------------------------------------------------------------

    def history(self, request: Request) -> Response:
        _, customer = self.site.reader(request)
        with self.site.store.snapshot() as look:
            found = stories(look, customer)
        return self.site.kit.page(request, "centre/history.html", stories=found, taipei=_taipei)


def _taipei(moment: datetime) -> tuple[str, str]:
    """Day and time in Taipei."""
    local = moment.astimezone(TAIPEI)
    return f"{local:%Y-%m-%d}", f"{local:%H:%M:%S}"
