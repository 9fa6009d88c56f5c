"""Reminders by SMS disturb nobody, and none is lost by waiting."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from renewal.rules.bank_days import read_bank_days
from renewal.rules.contact_hours import TaiwanCalendar, allowed_from, hours_end
from renewal.rules.reminder_schedule import thresholds
from renewal.rules.window import closes_at
from schema.policy import Channel, load_policies
from schema.taipei import TAIPEI

CALENDAR = TaiwanCalendar()
MOMENTS = st.datetimes(datetime(2022, 1, 1), datetime(2026, 12, 31)).map(  # noqa: DTZ001 - zone follows
    lambda moment: moment.replace(tzinfo=TAIPEI)
)


@dataclass(frozen=True)
class EveryDay:
    business: bool

    def is_business_day(self, day: date) -> bool:
        return self.business and day > date.min

    def closed_parts(self, day: date) -> tuple[()]:
        del day
        return ()


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


def bank_days(text: str) -> TaiwanCalendar:
    return TaiwanCalendar(bank_days=lambda: read_bank_days(text))


def test_a_typhoon_closes_its_counties_only() -> None:
    storm = 'typhoon = [{ date = 2024-10-01, counties = ["高雄市", "台東縣"] }]'
    morning = taipei("2024-10-01T10:00:00")

    def allowed(county: str) -> datetime:
        return allowed_from(morning, Channel.SMS, bank_days(f'county = "{county}"\n{storm}'))

    assert allowed("臺北市") == morning
    assert allowed("高雄市") == allowed("臺東縣") == taipei("2024-10-02T09:00:00")


@pytest.mark.parametrize(
    ("parts", "moment", "allowed"),
    [
        (["morning"], "2026-07-24T09:00", "2026-07-24T12:00"),
        (["afternoon"], "2026-07-24T09:00", "2026-07-24T09:00"),
        (["afternoon"], "2026-07-24T12:00", "2026-07-24T18:00"),
        (["evening"], "2026-07-24T17:59", "2026-07-24T17:59"),
        (["evening"], "2026-07-24T18:00", "2026-07-27T09:00"),
        (["afternoon", "evening"], "2026-07-24T11:59", "2026-07-24T11:59"),
        (["afternoon", "evening"], "2026-07-24T12:00", "2026-07-27T09:00"),
    ],
)
def test_a_typhoon_closes_a_part_of_the_day(parts: list[str], moment: str, allowed: str) -> None:
    rows = ", ".join(f'{{ date = 2026-07-24, part = "{part}" }}' for part in parts)
    calendar = bank_days(f"typhoon = [{rows}]")

    assert allowed_from(taipei(moment), Channel.SMS, calendar) == taipei(allowed)


@pytest.mark.parametrize(
    ("own", "allowed"),
    [
        ("", "2026-02-23T09:00"),  # Lunar New Year: from the eve on 14 February to the 22nd
        ("open = [{ date = 2026-02-21 }]", "2026-02-21T09:00"),
        ("closed = [{ date = 2026-02-23, why = '本行補假' }]", "2026-02-24T09:00"),
        ("typhoon = [{ date = 2026-02-23 }]\nopen = [{ date = 2026-02-23 }]", "2026-02-24T09:00"),
    ],
)
def test_the_banks_own_days_come_before_the_countrys(own: str, allowed: str) -> None:
    eve = taipei("2026-02-13T21:00")

    assert allowed_from(eve, Channel.SMS, bank_days(own)) == taipei(allowed)


def test_what_is_urgent_goes_on_a_day_that_a_typhoon_closed() -> None:
    calendar = bank_days("typhoon = [{ date = 2026-07-24 }]")
    morning = taipei("2026-07-24T10:00")

    assert allowed_from(morning, Channel.SMS, calendar, step=0) == morning
    assert allowed_from(morning, Channel.SMS, calendar, step=3) == taipei("2026-07-27T09:00")


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


@pytest.mark.parametrize(
    ("part", "moment", "ends"),
    [
        ("afternoon", "2026-07-07T09:00:00", "2026-07-07T12:00:00"),
        ("afternoon", "2026-07-07T11:59:59", "2026-07-07T12:00:00"),
        ("afternoon", "2026-07-07T12:00:00", None),
        ("afternoon", "2026-07-07T18:00:00", "2026-07-07T21:00:00"),
        ("afternoon", "2026-07-08T11:00:00", "2026-07-08T12:30:00"),  # the day after
        ("morning", "2026-07-07T11:59:59", None),
        ("morning", "2026-07-07T12:00:00", "2026-07-07T12:30:00"),
        ("morning", "2026-07-07T13:30:00", "2026-07-07T21:00:00"),
    ],
)
def test_the_hours_of_a_half_day_end_with_its_open_half(
    part: str, moment: str, ends: str | None
) -> None:
    storm = bank_days(f'typhoon = [{{ date = 2026-07-07, part = "{part}" }}]')

    assert hours_end(taipei(moment), storm) == (taipei(ends) if ends else None)


def test_what_is_urgent_is_not_cut_short_by_a_closed_half() -> None:
    storm = bank_days('typhoon = [{ date = 2026-07-07, part = "afternoon" }]')

    assert hours_end(taipei("2026-07-07T11:00:00"), storm, step=1) == taipei("2026-07-07T12:30:00")
