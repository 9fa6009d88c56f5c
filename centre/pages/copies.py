"""The keys in a customer's browsers: backed up, exported after a code, imported, removed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Body, Form
from fastapi.responses import JSONResponse
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import Response

from centre.actions import CodeResult
from centre.pages import codes
from centre.pages.log_in import ERROR_OF_CODE
from centre.pages.renewing import unbase64
from renewal.db.retry import retry_on_conflict
from renewal.store import key_copies
from schema.policy import Purpose, Storage
from web.errors import PageError, error_texts
from web.typed import digits_of

if TYPE_CHECKING:
    from centre.overview import Line
    from centre.pages.site import Site
    from renewal.store.key_copies import KeyCopy
    from web.sessions import Session

#: So long after a code a key may be taken out of the browser.
RELEASED_FOR = timedelta(minutes=10)
COPY = re.compile(r"[0-9a-f]{32}")
OPENER_BYTES = 32


@dataclass(frozen=True)
class Copies:
    site: Site

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/backup", self.backup_page, methods=["GET"])
        router.add_api_route("/export", self.export_page, methods=["GET"])
        router.add_api_route("/export/code", self.send_code, methods=["POST"])
        router.add_api_route("/export", self.enter_code, methods=["POST"])
        router.add_api_route("/import", self.import_page, methods=["GET"])
        router.add_api_route("/copies", self.add, methods=["POST"])
        router.add_api_route("/copies/{copy}/opener", self.opener, methods=["POST"])
        router.add_api_route("/copies/{copy}/backed-up", self.backed_up, methods=["POST"])
        router.add_api_route("/copies/{copy}/removed", self.removed, methods=["POST"])
        return router

    # --- pages ----------------------------------------------------------------------------------

    def backup_page(self, request: Request) -> Response:
        session, customer = self.site.reader(request)
        line = self._line_in_browser(customer)
        if line is None or not self._is_released(session):
            return self.site.kit.see("/export" if line else "/")
        renewal = session.body.get("backup")
        return self.site.kit.page(
            request, "centre/backup.html", line=line, seen=self.site.overview(customer),
            next_page=f"/renew/{renewal}" if renewal else "/",
        )  # fmt: skip

    def export_page(self, request: Request) -> Response:
        session, customer = self.site.reader(request)
        line = self._line_in_browser(customer)
        if line is None:
            raise PageError("E4302")
        released = self._is_released(session)
        code = codes.shown(self.site, session, certificate=line.certificate, purpose=Purpose.EXPORT)
        return self.site.kit.page(
            request, "centre/export.html", line=line, seen=self.site.overview(customer),
            released=released, onetime=code, problem=self.site.remembered(request, session),
        )  # fmt: skip

    def send_code(self, request: Request) -> Response:
        session, customer = self.site.reader(request)
        line = self._line_in_browser(customer)
        if line is not None:
            codes.ask(
                self.site, request, session, certificate=line.certificate, purpose=Purpose.EXPORT
            )
        return self.site.kit.see("/export")

    def enter_code(
        self, request: Request, code: Annotated[str, Form(max_length=20)] = ""
    ) -> Response:
        session, _ = self.site.reader(request)
        asked = session.body.get("code")
        if asked is None or asked["purpose"] != Purpose.EXPORT.value:
            self.site.remember(request, session, "E4202")
            return self.site.kit.see("/export")
        answer = self.site.centre_for(request).enter_code(
            asked["challenge"], digits_of(code), session=session.id,
            action=Purpose.EXPORT.value, certificate=asked["certificate"],
        )  # fmt: skip
        if answer.result is not CodeResult.RIGHT:
            self.site.remember(request, session, ERROR_OF_CODE[answer.result])
            return self.site.kit.see("/export")
        now = self.site.kit.clock.now().isoformat()
        self.site.kit.keep(request, session, code=None, released=now)
        return self.site.kit.rotate(request, self.site.kit.see("/export"))

    def import_page(self, request: Request) -> Response:
        _, customer = self.site.reader(request)
        seen = self.site.overview(customer)
        known = [line.spki for line in (*seen.lines, *seen.older) if _in_browser(line)]
        return self.site.kit.page(
            request, "centre/import.html", known=" ".join(known), errors=error_texts()
        )

    # --- for the pages' scripts -----------------------------------------------------------------

    @retry_on_conflict
    def add(
        self,
        request: Request,
        key_copy: Annotated[str, Body(max_length=32)],
        spki: Annotated[str, Body(max_length=64)],
        device: Annotated[str, Body(max_length=80)],
        opener: Annotated[str, Body(max_length=64)],
    ) -> Response:
        """A backup was imported: whoever does that has a copy of it already."""
        _, customer = self.site.reader(request)
        seen = self.site.overview(customer)
        known = {line.spki for line in (*seen.lines, *seen.older) if _in_browser(line)}
        key = unbase64(opener)
        if spki not in known or not COPY.fullmatch(key_copy) or len(key) != OPENER_BYTES:
            raise PageError("E4302")
        with self.site.store.transaction() as work:
            key_copies.put(
                work,
                key_copies.KeyCopy(
                    id=key_copy,
                    customer=customer,
                    spki_sha256=bytes.fromhex(spki),
                    device=device,
                    opener_sealed=work.cipher.seal(
                        key, key_copies.COLUMN, f"{customer}/{key_copy}"
                    ),
                    stored_at=work.at,
                    backed_up_at=work.at,
                ),
            )
        return Response(status_code=204)

    def opener(self, request: Request, copy: str) -> Response:
        """What opens the sealed key in that browser, for ten minutes after a code."""
        session, customer = self.site.reader(request)
        if not self._is_released(session):
            raise PageError("E4202")
        with self.site.store.snapshot() as look:
            found = self._mine(key_copies.find(look, copy, customer))
            key = look.cipher.open(found.opener_sealed, key_copies.COLUMN, f"{customer}/{copy}")
        return JSONResponse({"opener": codes.base64_of(key)})

    @retry_on_conflict
    def backed_up(self, request: Request, copy: str) -> Response:
        session, customer = self.site.reader(request)
        with self.site.store.transaction() as work:
            self._mine(key_copies.find(work, copy, customer))
            key_copies.mark_backed_up(work, copy)
        self.site.kit.keep(request, session, backup=None)
        return Response(status_code=204)

    @retry_on_conflict
    def removed(self, request: Request, copy: str) -> Response:
        _, customer = self.site.reader(request)
        with self.site.store.transaction() as work:
            self._mine(key_copies.find(work, copy, customer))
            key_copies.mark_removed(work, copy)
        return Response(status_code=204)

    # --- whose, and when ------------------------------------------------------------------------

    def _mine(self, found: KeyCopy | None) -> KeyCopy:
        if found is None:
            raise PageError("E9404")
        return found

    def _is_released(self, session: Session) -> bool:
        at = session.body.get("released")
        if at is None:
            return False
        return self.site.kit.clock.now() - datetime.fromisoformat(at) <= RELEASED_FOR

    def _line_in_browser(self, customer: int) -> Line | None:
        lines = [line for line in self.site.overview(customer).lines if _in_browser(line)]
        return next((line for line in lines if line.in_force), lines[0] if lines else None)


def _in_browser(line: Line) -> bool:
    return line.storage is Storage.BROWSER
