"""Formats moments as customers in Taiwan read them."""

from __future__ import annotations

from datetime import MAXYEAR, datetime, timedelta, timezone

#: Taiwan has kept UTC+8 without summer time since 1980.
_TAIPEI = timezone(timedelta(hours=8), "Asia/Taipei")
_BEFORE_ROC_1 = 1911
_LAST_MINUTE = (23, 59)


def taipei_date(moment: datetime) -> str:
    """The day in Taipei, Gregorian: ``2026/12/23``."""
    local = _in_taipei(moment)
    return f"{local.year:04}/{local.month:02}/{local.day:02}"


def taipei_time(moment: datetime) -> str:
    """
    The second in Taipei, Gregorian, for the validity of certificates: ``2026/12/23 23:59:59``.
    """
    local = _in_taipei(moment)
    return f"{taipei_date(moment)} {local.hour:02}:{local.minute:02}:{local.second:02}"


def taipei_end(moment: datetime) -> str:
    """
    When something ends, in Taipei: the day, ``2026/12/23``, and the minute too where that is not
    the day's last, ``2026/12/23 07:59``.
    """
    local = _in_taipei(moment)
    if (local.hour, local.minute) == _LAST_MINUTE:
        return taipei_date(moment)
    return f"{taipei_date(moment)} {local.hour:02}:{local.minute:02}"


def taipei_start(moment: datetime) -> str:
    """
    From when on something can be done, in Taipei: the day, and the minute too where that is not
    the day's first. What begins in a day's last minute can be done on the next.
    """
    local = _in_taipei(moment)
    if (local.hour, local.minute) == _LAST_MINUTE and local.year < MAXYEAR:
        return taipei_date(moment + timedelta(minutes=1))
    if (local.hour, local.minute) == (0, 0):
        return taipei_date(moment)
    return f"{taipei_date(moment)} {local.hour:02}:{local.minute:02}"


def roc(moment: datetime) -> str:
    """
    The day in Taipei in the calendar of the Republic: ``112/04/17``.

    Raises:
        ValueError: the day lies before 1912, the first year of that calendar.
    """
    local = _in_taipei(moment)
    return f"{_roc_year(local)}/{local.month:02}/{local.day:02}"


def roc_long(moment: datetime) -> str:
    """
    The same in words: ``民國112年4月17日``.

    Raises:
        ValueError: the day lies before 1912, the first year of that calendar.
    """
    local = _in_taipei(moment)
    return f"民國{_roc_year(local)}年{local.month}月{local.day}日"


def _roc_year(local: datetime) -> int:
    if local.year <= _BEFORE_ROC_1:
        raise ValueError(
            f"{local.date()} is before 1912: the calendar of the Republic begins there"
        )
    return local.year - _BEFORE_ROC_1


def _in_taipei(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone")
    try:
        return moment.astimezone(_TAIPEI)
    except (
        OverflowError
    ):  # RFC 5280, 4.1.2.5: 99991231235959Z means no end and is shown as it stands
        return moment
