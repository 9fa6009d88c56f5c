"""Reminders by SMS disturb nobody, and none is lost by waiting."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from renewal.rules.ladder import thresholds
from renewal.rules.quiet import TaiwanCalendar, allowed_from
from renewal.rules.taipei import TAIPEI
from renewal.rules.typhoons import TYPHOON_DAYS
from renewal.rules.window import closes_at
from schema.policy import Channel, load_policies

CALENDAR = TaiwanCalendar()
MOMENTS = st.datetimes(datetime(2022, 1, 1), datetime(2026, 12, 31)).map(  # noqa: DTZ001 - zone follows
    lambda moment: moment.replace(tzinfo=TAIPEI)
)


@dataclass(frozen=True)
class EveryDay:
    business: bool

    def is_business_day(self, day: date) -> bool:
        return self.business and day > date.min


def taipei(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=TAIPEI)


@pytest.mark.shows("D06")
@pytest.mark.parametrize(
    ("moment", "allowed"),
    [
        ("2026-11-23T08:59:59.999999", "2026-11-23T09:00:00"),
        ("2026-11-23T09:00:00", "2026-11-23T09:00:00"),
        ("2026-11-23T12:29:59.999999", "2026-11-23T12:29:59.999999"),
        ("2026-11-23T12:30:00", "2026-11-23T13:30:00"),
        ("2026-11-23T13:29:59.999999", "2026-11-23T13:30:00"),
        ("2026-11-23T13:30:00", "2026-11-23T13:30:00"),
        ("2026-11-23T20:59:59.999999", "2026-11-23T20:59:59.999999"),
        ("2026-11-23T21:00:00", "2026-11-24T09:00:00"),
        ("2026-11-24T00:00:00", "2026-11-24T09:00:00"),
        ("2026-11-27T21:00:00", "2026-11-30T09:00:00"),
        ("2026-11-28T10:00:00", "2026-11-30T09:00:00"),
        # The eve of Lunar New Year 2026: nine days off.
        ("2026-02-13T21:00:00", "2026-02-23T09:00:00"),
    ],
)
def test_an_sms_waits_for_the_next_hour_and_day_that_are_allowed(moment: str, allowed: str) -> None:
    assert allowed_from(taipei(moment), Channel.SMS, CALENDAR) == taipei(allowed)


@pytest.mark.parametrize("step", [1, 0])
def test_on_the_last_two_days_only_the_hours_count(step: int) -> None:
    saturday = taipei("2026-11-28T00:00:00")

    assert allowed_from(saturday, Channel.SMS, CALENDAR, step=step) == taipei("2026-11-28T09:00")
    assert allowed_from(saturday, Channel.SMS, CALENDAR, step=3) == taipei("2026-11-30T09:00")


def test_mail_goes_at_any_hour_of_any_day() -> None:
    night = taipei("2026-11-28T03:00:00")

    assert allowed_from(night, Channel.MAIL, EveryDay(business=False)) == night


def test_a_saturday_that_is_made_up_is_a_business_day_and_a_holiday_is_not() -> None:
    assert CALENDAR.is_business_day(date(2025, 2, 8))
    assert not CALENDAR.is_business_day(date(2025, 2, 15))
    assert not CALENDAR.is_business_day(date(2026, 2, 27))
    assert CALENDAR.is_business_day(date(2026, 11, 23))


def test_a_typhoon_closes_its_counties_only() -> None:
    morning = taipei("2024-10-01T10:00:00")
    kaohsiung = TaiwanCalendar(closed=TYPHOON_DAYS["高雄市"])

    assert allowed_from(morning, Channel.SMS, CALENDAR) == morning
    assert allowed_from(morning, Channel.SMS, kaohsiung) == taipei("2024-10-02T09:00:00")


@settings(max_examples=300)
@given(moment=MOMENTS, step=st.sampled_from([None, 30, 3, 1, 0, -1]))
def test_what_is_allowed_is_never_earlier_never_quiet_and_stays_allowed(
    moment: datetime, step: int | None
) -> None:
    allowed = allowed_from(moment, Channel.SMS, CALENDAR, step=step)

    minutes = allowed.astimezone(TAIPEI).hour * 60 + allowed.astimezone(TAIPEI).minute
    assert allowed >= moment
    assert 9 * 60 <= minutes < 21 * 60
    assert not 12 * 60 + 30 <= minutes < 13 * 60 + 30
    assert step in {0, 1} or CALENDAR.is_business_day(allowed.astimezone(TAIPEI).date())
    assert allowed_from(allowed, Channel.SMS, CALENDAR, step=step) == allowed


@settings(max_examples=200)
@given(moment=MOMENTS)
def test_the_zone_in_which_the_moment_is_written_changes_nothing(moment: datetime) -> None:
    here = allowed_from(moment, Channel.SMS, CALENDAR)

    assert here == allowed_from(moment.astimezone(UTC), Channel.SMS, CALENDAR)


def test_no_certificate_expires_without_a_last_reminder_whatever_the_holidays() -> None:
    for policy in load_policies().values():
        for ahead in range(365):
            not_after = taipei("2026-01-01T23:59:59") + timedelta(days=ahead)
            sent = [
                (step, allowed_from(moment, Channel.SMS, CALENDAR, step=step))
                for step, moment in thresholds(not_after, policy)
            ]

            in_time = {step for step, moment in sent if moment <= not_after}
            assert {1, 0} <= in_time
            assert all(m <= closes_at(not_after, policy.window) for s, m in sent if s in {1, 0})


def test_a_calendar_without_business_days_is_an_error_not_an_endless_search() -> None:
    with pytest.raises(ValueError, match="no business day"):
        allowed_from(taipei("2026-11-23T10:00"), Channel.SMS, EveryDay(business=False))
