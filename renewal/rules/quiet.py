"""Says when a reminder may be sent without disturbing anyone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import TYPE_CHECKING, Protocol

from renewal.rules.taipei import TAIPEI, day_of, start_of
from schema.policy import Channel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holidays import HolidayBase

#: Promotional SMS is barred from 12:30 to 13:30 and from 21:00 to 09:00, Taipei (Twilio's
#: guidelines for Taiwan). Reminders keep to it; codes are exempt and never come here.
SMS_HOURS = ((time(9), time(12, 30)), (time(13, 30), time(21)))  #: from, until; until excluded

#: A text that urges nobody goes when the reminders that quiet hours put off have gone: an hour
#: after the last of them has ended (ours).
NEWS_HOURS = ((time(14, 30), time(21)),)

#: These steps of the ladder go out on any day: the next business day may be after the expiry.
URGENT_STEPS = frozenset({1, 0})

#: The longest row of days off is Lunar New Year with its weekends, ten days; twice that.
_DAYS_AHEAD = 20


class Calendar(Protocol):
    def is_business_day(self, day: date) -> bool: ...


@dataclass(frozen=True, kw_only=True)
class TaiwanCalendar:
    """
    Public holidays and make-up days of Taiwan, and the days a typhoon closed the county.
    """

    closed: frozenset[date] = frozenset()  #: e.g. TYPHOON_DAYS of the county of the head office

    def is_business_day(self, day: date) -> bool:
        return day not in self.closed and _is_working_day(day)


def allowed_from(
    moment: datetime,
    channel: Channel,
    calendar: Calendar,
    *,
    step: int | None = None,
    hours: Sequence[tuple[time, time]] = SMS_HOURS,
) -> datetime:
    """
    Return the moment itself if a reminder may be sent then, else the next one that may.

    Mail disturbs nobody and may go at any time (ours). What comes back may be later than the
    end of the window: then the caller suppresses.
    """
    if channel is Channel.MAIL:
        return moment
    for ahead in range(_DAYS_AHEAD + 1):
        day = day_of(moment) + timedelta(days=ahead)
        if step in URGENT_STEPS or calendar.is_business_day(day):
            hour = _hour_from(max(moment, start_of(day)), day, hours)
            if hour is not None:
                return hour
    raise ValueError(f"the calendar has no business day in {_DAYS_AHEAD} days")


def _hour_from(moment: datetime, day: date, hours: Sequence[tuple[time, time]]) -> datetime | None:
    for begins, ends in hours:
        if moment < _at(day, ends):
            return max(moment, _at(day, begins))
    return None


def _at(day: date, hour: time) -> datetime:
    return datetime.combine(day, hour, TAIPEI).astimezone(UTC)


def _is_working_day(day: date) -> bool:
    working: bool = _holidays_of(day.year).is_working_day(day)
    return working


@cache
def _holidays_of(year: int) -> HolidayBase:
    import holidays  # noqa: PLC0415 - slow to import, and only the reminders need it

    return holidays.country_holidays("TW", years=year)
