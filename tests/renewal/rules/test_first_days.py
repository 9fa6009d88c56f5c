"""When a reminder of the first days may go, and until when it waits."""

from __future__ import annotations

from datetime import date

import pytest

from renewal.rules.first_days import FirstDays
from schema.taipei import start_of
from tests.scenario.scenario import taipei

MONDAY, TUESDAY, THURSDAY = date(2026, 12, 7), date(2026, 12, 8), date(2026, 12, 10)
THREE_DAYS = FirstDays(begins=MONDAY, days=3, a_day=2)


@pytest.mark.parametrize(
    ("now", "reminded", "until"),
    [
        ("2026-12-06 23:59:59", 0, MONDAY),
        ("2026-12-07 00:00:00", 0, None),
        ("2026-12-07 12:00:00", 1, None),
        ("2026-12-07 12:00:00", 2, TUESDAY),
        ("2026-12-09 23:59:59", 2, THURSDAY),
        ("2026-12-10 00:00:00", 2, None),
    ],
)
def test_both_edges_of_the_first_days(now: str, reminded: int, until: date | None) -> None:
    expected = start_of(until) if until else None

    assert THREE_DAYS.held_until(taipei(now), reminded) == expected


def test_without_a_day_nothing_is_held() -> None:
    assert FirstDays(a_day=1).held_until(taipei("2026-12-07 12:00"), 9) is None


def test_without_a_cap_only_the_day_holds() -> None:
    live = FirstDays(begins=MONDAY)

    assert live.held_until(taipei("2026-12-06 12:00"), 0) == start_of(MONDAY)
    assert live.held_until(taipei("2026-12-07 12:00"), 10**6) is None


def test_a_full_day_passes_a_customer_on_to_the_next_with_room() -> None:
    full = {MONDAY: 2, TUESDAY: 2}

    assert THREE_DAYS.day_for(date(2026, 12, 1), full) == date(2026, 12, 9)
    assert THREE_DAYS.day_for(date(2026, 12, 1), full | {date(2026, 12, 9): 2}) == THURSDAY
