"""The page of reconciliation: how our books differ from those outside, and whose work that is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import Response

from back_office.console.run_pages import AGAIN_AFTER
from back_office.reconciling import MAX_KEPT, SIDES, door_of, owner_of
from back_office.staff import StaffRole
from renewal.store import reconciliations as queries
from schema.reasons import ReconcileReason
from templates.codes import remedy, text
from web.errors import PageError
from web.language import locale_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from back_office.console.site import ConsoleSite
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.store.reconciliations import KeptDifference, Reconciliation

PAGE = 50
MAY_RECONCILE = (StaffRole.OPERATOR, StaffRole.AUDITOR, StaffRole.ADMINISTRATOR)


@dataclass(frozen=True)
class ReconcilePages:
    site: ConsoleSite

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/reconcile", self.page, methods=["GET"])
        router.add_api_route("/reconcile", self.start, methods=["POST"])
        router.add_api_route("/reconcile/progress", self.progress, methods=["GET"])
        return router

    def page(self, request: Request, after: int = 0) -> Response:
        reader, language = self.site.reader(request), locale_of(request)
        with self.site.store.snapshot() as look:
            recent = queries.newest(look, at_most=10)
            last = recent[0] if recent else None
            found = queries.kept(look, last.id, after=after, at_most=PAGE + 1) if last else []
            counts = queries.by_code(look, last.id) if last else []
            rows = [_row(look, one, language) for one in found[:PAGE]]
        codes = [(text(ReconcileReason(code), language), many) for code, many in counts]
        return self.site.kit.page(
            request, "console/reconcile.html", me=reader, here="reconcile", last=last,
            recent=recent, rows=rows, codes=codes, sides=SIDES, most=MAX_KEPT,
            more=found[PAGE - 1].number if found[PAGE:] else None,
            running=self._is_running(last), notice=self.site.notice(request),
            can_ask=bool(self.site.reconciling.comparisons),
            may_act=reader.may(*MAY_RECONCILE),
        )  # fmt: skip

    def start(self, request: Request) -> Response:
        who = self.site.reader(request, *MAY_RECONCILE).name
        if not self.site.reconciling.comparisons:
            raise PageError("E9404")
        return self.site.acted(
            request, lambda: self.site.reconciling.in_background(who=who), "/reconcile",
            ("已開始對帳。", "The reconciliation has begun."),
        )  # fmt: skip

    def progress(self, request: Request) -> Response:
        """One server-sent event: how many sides are compared; the browser comes back by itself."""
        self.site.reader(request)
        with self.site.store.snapshot() as look:
            last = next(iter(queries.newest(look)), None)
        if last is None:
            raise PageError("E9404")
        seen = {
            "compared": len(last.compared.split()),
            "found": last.found,
            "running": self._is_running(last),
        }
        event = f"retry: {AGAIN_AFTER}\ndata: {json.dumps(seen)}\n\n"
        return Response(event, media_type="text/event-stream")

    def _is_running(self, last: Reconciliation | None) -> bool:
        unfinished = last is not None and last.ended_at is None
        return unfinished and self.site.reconciling.is_under_way()


def _row(look: UnitOfWork, one: KeptDifference, language: str) -> Mapping[str, str]:
    code = ReconcileReason(one.code)
    return {
        "side": one.side, "code": one.code, "item": one.item, "what": text(code, language),
        "next": remedy(code.why(), language), "owner": owner_of(code).value,
        "door": door_of(look, one),
    }  # fmt: skip
