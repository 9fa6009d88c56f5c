"""The validity period of the new certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schema.policy import Starts
from schema.taipei import day_of, end_of, whole_second

if TYPE_CHECKING:
    from datetime import date, datetime

    from schema.policy import Policy


def new_validity(
    policy: Policy, issued_at: datetime, old_not_after: datetime | None
) -> tuple[datetime, datetime]:
    """
    Return the first and the last second of the new certificate, the last at 23:59:59 Taipei.

    A validity never starts in the past: an old certificate that has ended meanwhile, or none
    at all, means that the new one starts with its issue, and nothing is carried over.
    """
    issued = whole_second(issued_at)
    old_end = issued if old_not_after is None else max(issued, old_not_after)
    starts_late = policy.validity.starts is Starts.OLD_END
    counted_from = old_end if starts_late or policy.validity.carry_over else issued
    last_day = years_later(day_of(counted_from), policy.validity.years)
    return (old_end if starts_late else issued), end_of(last_day)


def years_later(day: date, years: int) -> date:
    """Return the same day some years later; 29 February becomes the 28th where there is none."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, day=28)
