"""The page of the certificate statement (憑證證明單), and the same sheet as a file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import Response

from centre.overview import LineState
from renewal.rules.certificate_statement import statement
from schema.reasons import DecisionKind, StatedReason
from web.errors import PageError
from web.pdf import PdfUnavailableError, pdf_of
from web.throttle import Throttle

if TYPE_CHECKING:
    from centre.overview import Line
    from centre.pages.site import Site

#: A file takes a core for a second: one customer who asks on and on would slow down all others.
FILES_AT_MOST, SPAN = 5, timedelta(minutes=15)
#: What our books know that the certificate itself does not say.
KNOWN = {LineState.SUSPENDED: "suspended", LineState.REVOKED: "revoked"}


@dataclass(frozen=True)
class Statements:
    """Of the newest certificate of a product that has one; a customer chooses nothing (C08)."""

    site: Site

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/statement", self.page, methods=["GET"])
        router.add_api_route("/statement.pdf", self.pdf, methods=["GET"])
        return router

    def page(self, request: Request) -> Response:
        _, customer = self.site.reader(request)
        return self.site.kit.page(
            request, "centre/statement.html", **self._shown(self._newest(customer))
        )

    def pdf(self, request: Request) -> Response:
        """The file's hash stands in the certificate's story."""
        _, customer = self.site.reader(request)
        line = self._newest(customer)
        if self._throttle.count(str(customer)):
            raise PageError("E9429")
        html = self.site.kit.text(request, "centre/statement-print.html", **self._shown(line))
        try:
            made = pdf_of(html)
        except PdfUnavailableError as error:
            raise PageError("E9501") from error
        note = StatedReason.NOTE.why(note=f"sha256 {hashlib.sha256(made).hexdigest()}")
        with self.site.store.transaction() as work:
            work.record_decision(line.certificate, DecisionKind.STATEMENT_MADE, note)
        name = {"Content-Disposition": f'attachment; filename="statement-{line.serial}.pdf"'}
        return Response(made, media_type="application/pdf", headers=name)

    @property
    def _throttle(self) -> Throttle:
        return Throttle(store=self.site.store, name="statement", at_most=FILES_AT_MOST, within=SPAN)

    def _newest(self, customer: int) -> Line:
        """
        Raises:
            PageError: no certificate of the customer has a statement.
        """
        seen = self.site.overview(customer)
        lines = [
            line
            for line in (*seen.lines, *seen.older)
            if self.site.policies.of(line.product).statement and line.state != LineState.PENDING
        ]
        if not lines:
            raise PageError("E9404")
        return max(lines, key=lambda line: line.not_after)

    def _shown(self, line: Line) -> dict[str, Any]:
        with self.site.store.snapshot() as look:
            row = look.certificates.get(line.certificate)
            der = look.cipher.open(row.der_sealed, "certificates.der", row.id)
            made_by = look.renewals.find(row.renewal) if row.renewal else None
        now = self.site.kit.clock.now()
        found = statement([der], now, known=KNOWN.get(line.state, ""))
        if found is None:
            raise PageError("E9404")
        applied = made_by.requested_at if made_by else row.not_before
        return {"statement": found, "applied": applied, "check_code": found.check_code}
