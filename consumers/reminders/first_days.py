"""Counts who was reminded today, on the first days after a bank has gone live."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from renewal.store import messages as message_queries
from schema.taipei import day_of, start_of

if TYPE_CHECKING:
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.first_days import FirstDays

#: No step of a schedule is later than so many days after the end.
_LATEST_STEP = 365


@dataclass
class FirstDaysQuota:
    """Of one batch: one transaction at a time counts, so that no two share the last place."""

    first_days: FirstDays
    reminded: int = 0

    def preload(self, work: UnitOfWork) -> None:
        if self.first_days.count_on(work.at):
            work.serialize_on("first days")
            self.reminded = message_queries.reminded_since(work, start_of(day_of(work.at)))

    def is_live(self, now: datetime) -> bool:
        return self.first_days.begins is None or day_of(now) >= self.first_days.begins

    def held_until(self, now: datetime) -> datetime | None:
        return self.first_days.held_until(now, self.reminded)


def most_urgent_first(moment: datetime, step: int) -> datetime:
    """What was held is looked at in the order of its days left, within twelve minutes."""
    return moment + timedelta(seconds=_LATEST_STEP + step)
