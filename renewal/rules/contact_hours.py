"""Contact hours: when a message may be sent without disturbing anyone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import TYPE_CHECKING, Protocol

from renewal.rules.bank_days import BankDays
from schema.policy import Channel
from schema.taipei import TAIPEI, day_of, start_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holidays import HolidayBase

    from renewal.rules.bank_days import ClosedPart

#: Promotional SMS is barred from 12:30 to 13:30 and from 21:00 to 09:00, Taipei (Twilio's
#: guidelines for Taiwan). Reminders keep to it; codes are exempt and never come here.
SMS_HOURS = ((time(9), time(12, 30)), (time(13, 30), time(21)))  #: from, until; until excluded

#: A text that urges nobody goes when the reminders that quiet hours put off have gone: an hour
#: after the last of them has ended (ours).
NOTICE_HOURS = ((time(14, 30), time(21)),)

#: These steps of the ladder go out on any day: the next business day may be after the expiry.
URGENT_STEPS = frozenset({1, 0})

#: Of a text that goes outside the hours all the same.
SHORT_VALIDITY = timedelta(minutes=1)

#: The longest row of days off is Lunar New Year with its weekends, ten days; twice that.
_DAYS_AHEAD = 20


class Calendar(Protocol):
    def is_business_day(self, day: date) -> bool: ...

    def closed_parts(self, day: date) -> Sequence[ClosedPart]:
        """What of a business day a typhoon closes."""
        ...


@dataclass(frozen=True, kw_only=True)
class TaiwanCalendar:
    """Public holidays and make-up days of Taiwan, and what the bank's own file changes of them."""

    bank_days: Callable[[], BankDays] = BankDays

    def is_business_day(self, day: date) -> bool:
        own = self.bank_days().is_open(day)
        return _is_working_day(day) if own is None else own

    def closed_parts(self, day: date) -> Sequence[ClosedPart]:
        return self.bank_days().parts.get(day, ())


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
        if step in URGENT_STEPS:
            open_hours = hours
        elif calendar.is_business_day(day):
            open_hours = _without(hours, calendar.closed_parts(day))
        else:
            continue
        hour = _hour_from(max(moment, start_of(day)), day, open_hours)
        if hour is not None:
            return hour
    raise ValueError(f"the calendar has no business day in {_DAYS_AHEAD} days")


def _without(hours: Sequence[ClosedPart], closed: Sequence[ClosedPart]) -> list[ClosedPart]:
    """The hours, less the closed parts of the day."""
    left = list(hours)
    for begins, ends in closed:
        before = [(start, min(end, begins)) for start, end in left]
        after = [(max(start, ends), end) for start, end in left]
        left = sorted(span for span in (*before, *after) if span[0] < span[1])
    return left


def hours_end(
    moment: datetime,
    calendar: Calendar,
    *,
    step: int | None = None,
    hours: Sequence[tuple[time, time]] = SMS_HOURS,
) -> datetime | None:
    """
    Return when the hours end in which the moment lies, or ``None`` if it lies in none. Where a
    typhoon closes half a day they end with the other half, but for what is urgent.
    """
    day = day_of(moment)
    closed = () if step in URGENT_STEPS else calendar.closed_parts(day)
    open_hours = _without(hours, closed)
    spans = ((_at(day, begins), _at(day, ends)) for begins, ends in open_hours)
    return next((ends for begins, ends in spans if begins <= moment < ends), None)


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
