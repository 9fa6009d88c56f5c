"""The first page: what needs a person, and how things stand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the annotations

from renewal.store import alarms, reconciliations
from renewal.store import console as queries
from renewal.store import runs as run_queries
from renewal.store.lanes import stopped_lanes
from schema.taipei import day_of, start_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from back_office.console.site import ConsoleSite

WEEKS = 12
WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Dashboard:
    site: ConsoleSite

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/", self.page, methods=["GET"])
        return router

    def page(self, request: Request) -> Response:
        kit = self.site.kit
        session = kit.session_of(request)
        if session is None or not session.subject:
            return kit.see("/login")
        if session.body.get("must_change"):
            return kit.see("/password")
        reader = self.site.reader(request)
        with self.site.store.snapshot() as look:
            today = start_of(day_of(look.at))
            weeks = queries.expiring_by_week(look, today, today + WEEKS * WEEK)
            open_alarms, stopped = alarms.open_alarms(look), stopped_lanes(look)
            runs = run_queries.listed(look, at_most=5)
            reconciled = next(iter(reconciliations.newest(look)), None)
            deliveries = queries.deliveries(look, look.at - timedelta(days=1))
        products, rows = by_week(weeks, today)
        return kit.page(
            request, "console/dashboard.html", me=reader, here="dashboard", rows=rows,
            products=products, alarms=open_alarms, lanes=stopped, runs=runs, deliveries=deliveries,
            reconciled=reconciled,
            most=max((sum(counts) for _, counts in rows), default=0),
        )  # fmt: skip


def by_week(
    weeks: Sequence[tuple[int, str, int]], today: datetime
) -> tuple[list[str], list[tuple[datetime, list[int]]]]:
    """The products, and for each week its first day and how many of each product end in it."""
    products = sorted({product for _, product, _ in weeks})
    counts = {(week, product): count for week, product, count in weeks}
    return products, [
        (today + week * WEEK, [counts.get((week, product), 0) for product in products])
        for week in range(WEEKS)
    ]
