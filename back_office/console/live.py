"""The live picture: how everything stands at this moment, in figures and bars."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the annotations

from back_office.console.dashboard import WEEK, WEEKS, by_week
from renewal.delivery import dead_letters
from renewal.store import alarms, metrics, picture, reconciliations
from renewal.store import console as queries
from renewal.store.lanes import stopped_lanes
from schema.states import RunState
from schema.stored_reasons import read_reason
from schema.taipei import day_of, start_of
from templates.codes import text
from web.language import locale_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from back_office.console.site import ConsoleSite
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.store.reports import ConsumerStatus

DAY = timedelta(days=1)


@dataclass(frozen=True)
class LivePages:
    site: ConsoleSite
    consumers: Callable[[UnitOfWork], Mapping[str, ConsumerStatus]] | None = None

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/live", self.page, methods=["GET"])
        return router

    def page(self, request: Request) -> Response:
        """Every count is of an index or of a small table, and of one moment."""
        reader, language = self.site.reader(request), locale_of(request)
        with self.site.store.snapshot() as look:
            today = start_of(day_of(look.at))
            weeks = queries.expiring_by_week(look, today, today + WEEKS * WEEK)
            products, rows = by_week(weeks, today)
            runs = picture.runs_by_state(look)
            shown: dict[str, Any] = {
                "at": look.at,
                "products": products,
                "rows": rows,
                "most": max((sum(counts) for _, counts in rows), default=0),
                "runs": [(state, runs[state]) for state in RunState if runs.get(state)],
                "deliveries": queries.deliveries(look, look.at - DAY),
                "lanes": stopped_lanes(look),
                "codes": picture.codes_since(look, look.at - DAY),
                "stations": picture.stations_by_branch(look),
                "branches": [
                    (*of, *what) for of, what in sorted(metrics.at_branches(look).items())
                ],
                "consumers": self.consumers(look) if self.consumers else {},
                "causes": dead_letters.causes(look),
                "alarms": alarms.open_alarms(look),
                "jobs": picture.jobs_done(look),
                "reconciled": next(iter(reconciliations.newest(look)), None),
            }
        return self.site.kit.page(
            request, "console/live.html", me=reader, here="live",
            reason=lambda why: text(read_reason(why), language),
            notice=self.site.notice(request), **shown,
        )  # fmt: skip
