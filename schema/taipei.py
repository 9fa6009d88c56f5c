"""Converts moments to the days that a customer in Taiwan sees."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone

#: Taiwan has kept UTC+8 without summer time since 1980.
TAIPEI = timezone(timedelta(hours=8), "Asia/Taipei")

LAST_SECOND = time(23, 59, 59, tzinfo=TAIPEI)

#: 99991231235959Z is how a certificate says that it never ends (RFC 5280, 4.1.2.5); a year of
#: room is left, so that neither Taipei nor a window lies beyond what a datetime can say.
END_OF_TIME = datetime(9998, 12, 31, tzinfo=UTC)


def day_of(moment: datetime) -> date:
    """
    Return the calendar day in Taipei. A naive moment is refused, as nobody knows when it is.

    Raises:
        ValueError: the moment has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone has no day in Taipei")
    return min(moment, END_OF_TIME).astimezone(TAIPEI).date()


def start_of(day: date) -> datetime:
    """Return 00:00:00 in Taipei, as UTC."""
    return datetime.combine(day, time(tzinfo=TAIPEI)).astimezone(UTC)


def end_of(day: date) -> datetime:
    """Return 23:59:59 in Taipei, the second in which certificates expire, as UTC."""
    return datetime.combine(day, LAST_SECOND).astimezone(UTC)


def whole_second(moment: datetime) -> datetime:
    """
    Return the second that the moment lies in; X.509 knows no smaller part (RFC 5280, 4.1.2.5).
    """
    return moment.replace(microsecond=0)
