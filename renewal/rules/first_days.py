"""Decides how many customers may be reminded on the first days after a bank has gone live."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from schema.taipei import day_of, start_of

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class FirstDays:
    """Without a day nothing is held; days are whole days in Taipei."""

    begins: date | None = None  #: before it nobody is reminded
    days: int = 7  #: so long the cap counts
    a_day: int = 0  #: customers reminded a day at most; 0: any number

    def count_on(self, now: datetime) -> bool:
        """Whether it matters now how many were reminded today."""
        if self.begins is None:
            return False
        today = day_of(now)
        return today < self.begins or bool(self.a_day and today < self.ends)

    @property
    def ends(self) -> date:
        """The first day on which nothing is held any more."""
        return (self.begins or date.min) + timedelta(days=self.days)

    def day_for(self, day: date, reminded: Mapping[date, int]) -> date:
        """The first day from this one on with room for one more customer."""
        if self.begins is None:
            return day
        day = max(day, self.begins)
        while self.a_day and day < self.ends and reminded.get(day, 0) >= self.a_day:
            day += timedelta(days=1)
        return day

    def held_until(self, now: datetime, reminded_today: int) -> datetime | None:
        """The first moment of the day until which a reminder waits; ``None``: it may go now."""
        if self.begins is None or not self.count_on(now):
            return None
        if day_of(now) < self.begins:
            return start_of(self.begins)
        if reminded_today < self.a_day:
            return None
        return start_of(day_of(now) + timedelta(days=1))
