"""The page of the audit trail, and its export."""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import Response

from back_office.actions import must_say_why
from back_office.imports.report import harmless
from back_office.staff import StaffRole
from renewal.store import audit
from renewal.store import console as queries

if TYPE_CHECKING:
    from back_office.console.site import ConsoleSite

PAGE = 100
EXPORT_PAGE = 1_000
MOST_EXPORTED = 100_000  #: lines, the newest; `xuqi audit list` has them all
COLUMNS = ("id", "at", "who", "os_user", "did", "object", "why", "hash")
Words = Annotated[str, Form(max_length=300)]


@dataclass(frozen=True)
class AuditPages:
    site: ConsoleSite

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/audit", self.page, methods=["GET"])
        router.add_api_route("/audit.csv", self.export, methods=["POST"])
        return router

    def page(self, request: Request, who: str = "", before: int = 0) -> Response:
        reader = self.site.reader(request, StaffRole.AUDITOR, StaffRole.ADMINISTRATOR)
        with self.site.store.snapshot() as look:
            found = queries.audit_page(
                look, who=who or None, before=before or None, at_most=PAGE + 1
            )
        return self.site.kit.page(
            request, "console/audit.html", me=reader, here="audit", rows=found[:PAGE], who=who,
            more=found[PAGE - 1]["id"] if found[PAGE:] else None, notice=self.site.notice(request),
        )  # fmt: skip

    def export(self, request: Request, why: Words, who: Words = "") -> Response:
        """The lines that the filter takes, as CSV; the hash of the file is put on the trail."""
        reader = self.site.reader(request, StaffRole.AUDITOR, StaffRole.ADMINISTRATOR)
        content = self._csv(who)
        sha256 = hashlib.sha256(content).hexdigest()
        with self.site.store.transaction() as work:
            must_say_why(reader.name, why)
            object_ = f"sha256 {sha256[:64]}"
            audit.write(work, who=reader.name, did="export audit trail", object_=object_, why=why)
        headers = {
            "Content-Disposition": f'attachment; filename="audit-{sha256[:16]}.csv"',
            "X-Content-SHA256": sha256,
        }
        return Response(content, media_type="text/csv; charset=utf-8", headers=headers)

    def _csv(self, who: str) -> bytes:
        text = io.StringIO()
        rows = csv.writer(text)
        rows.writerow(COLUMNS)
        before, count = None, 0
        while count < MOST_EXPORTED:
            with self.site.store.snapshot() as look:
                page = queries.audit_page(look, who=who or None, before=before, at_most=EXPORT_PAGE)
            for row in page:
                line = {**row, "at": row["at"].isoformat(), "hash": row["hash"].hex()}
                rows.writerow([harmless(str(line[name] or "")) for name in COLUMNS])
            count += len(page)
            if len(page) < EXPORT_PAGE:
                break
            before = page[-1]["id"]
        return b"\xef\xbb\xbf" + text.getvalue().encode()
