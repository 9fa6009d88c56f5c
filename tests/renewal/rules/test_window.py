"""The window of renewal is open from its first second to its last."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renewal.rules.window import Phase, closes_at, opens_at, phase_at
from schema.policy import Window
from schema.taipei import TAIPEI

SECOND = timedelta(seconds=1)
TICK = timedelta(microseconds=1)
MONTH = Window(before_days=30, after_days=30)


def night(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}T23:59:59+08:00")


ENDS = st.datetimes(datetime(2012, 1, 1), datetime(2100, 1, 1)).map(  # noqa: DTZ001 - zone follows
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)
WINDOWS = st.builds(Window, before_days=st.integers(1, 180), after_days=st.integers(0, 180))


@pytest.mark.shows("B06")
@pytest.mark.parametrize(
    ("ends", "opens", "closes"),
    [
        ("2021-10-29", "2021-09-29", "2021-11-28"),
        ("2021-11-04", "2021-10-05", "2021-12-04"),
        ("2021-11-05", "2021-10-06", "2021-12-05"),
        ("2022-03-30", "2022-02-28", "2022-04-29"),
        # Beyond the manual's own samples: over a leap day, to one and from one.
        ("2024-03-30", "2024-02-29", "2024-04-29"),
        ("2024-02-29", "2024-01-30", "2024-03-30"),
        ("2023-12-31", "2023-12-01", "2024-01-30"),
    ],
)
def test_the_window_is_thirty_days_around_the_expiry(ends: str, opens: str, closes: str) -> None:
    not_after = night(ends)

    assert opens_at(not_after, MONTH).astimezone(TAIPEI) == night(opens)
    assert closes_at(not_after, MONTH).astimezone(TAIPEI) == night(closes)


@pytest.mark.shows("B06")
@given(not_after=ENDS, window=WINDOWS, off=st.integers(-90, 90))
def test_every_second_around_the_opening_is_judged_right(
    not_after: datetime, window: Window, off: int
) -> None:
    moment = opens_at(not_after, window) + off * SECOND

    assert phase_at(moment, not_after, window) is (Phase.BEFORE if off < 0 else Phase.OPEN)


@pytest.mark.shows("B06")
@given(not_after=ENDS, window=WINDOWS, off=st.integers(-90, 90))
def test_every_second_around_the_closing_is_judged_right(
    not_after: datetime, window: Window, off: int
) -> None:
    moment = closes_at(not_after, window) + off * SECOND

    assert phase_at(moment, not_after, window) is (Phase.CLOSED if off > 0 else Phase.OPEN)


def test_all_of_the_last_second_belongs_to_the_window_and_nothing_before_the_first() -> None:
    not_after = night("2021-10-29")
    opens, closes = opens_at(not_after, MONTH), closes_at(not_after, MONTH)

    phases = [
        phase_at(moment, not_after, MONTH)
        for moment in (opens - TICK, opens, closes + SECOND - TICK, closes + SECOND)
    ]

    assert phases == [Phase.BEFORE, Phase.OPEN, Phase.OPEN, Phase.CLOSED]


@pytest.mark.shows("A02")
def test_without_days_after_the_window_closes_with_the_certificate() -> None:
    window = Window(before_days=30, after_days=0)
    not_after = night("2026-10-29")

    assert phase_at(not_after, not_after, window) is Phase.OPEN
    assert phase_at(not_after + SECOND, not_after, window) is Phase.CLOSED


@given(not_after=ENDS, window=WINDOWS, hours=st.integers(-12, 14))
def test_the_zone_in_which_a_moment_is_written_changes_nothing(
    not_after: datetime, window: Window, hours: int
) -> None:
    zone = timezone(timedelta(hours=hours))
    first, last = opens_at(not_after, window), closes_at(not_after, window)

    phases = [
        phase_at(moment.astimezone(zone), not_after, window)
        for moment in (first - SECOND, first, last, last + SECOND)
    ]

    assert phases == [Phase.BEFORE, Phase.OPEN, Phase.OPEN, Phase.CLOSED]


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(TypeError):
        phase_at(datetime(2021, 10, 1), night("2021-10-29"), MONTH)  # noqa: DTZ001 - the point


def test_a_certificate_that_never_ends_has_no_window_to_be_in() -> None:
    never = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)

    assert phase_at(datetime(2026, 11, 23, tzinfo=UTC), never, MONTH) is Phase.BEFORE
    assert closes_at(never, MONTH) > datetime(9998, 1, 1, tzinfo=UTC)
