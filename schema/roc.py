"""Writes and reads dates of the ROC calendar, whose first year is 1912."""

from __future__ import annotations

import re
import unicodedata
from datetime import date, datetime

from schema.taipei import day_of

_BEFORE_FIRST_YEAR = 1911
_FORMS = tuple(
    re.compile(form, re.ASCII)
    for form in (
        r"民國(?P<y>\d{1,3}|元)年(?P<m>\d{1,2})月(?P<d>\d{1,2})日",
        r"(?P<y>\d{1,4})年(?P<m>\d{1,2})月(?P<d>\d{1,2})日",
        r"(?P<y>\d{1,4})(?P<sep>[/.-])(?P<m>\d{1,2})(?P=sep)(?P<d>\d{1,2})",
        r"(?P<y>\d{3,4})(?P<m>\d{2})(?P<d>\d{2})",
    )
)


class RocDateError(ValueError):
    """The text is no date, or the date is before the calendar's first year."""


def short(day: date) -> str:
    """
    Return for instance ``112/04/17``; of a moment, its day in Taipei.

    Raises:
        RocDateError: the day is before 1912.
    """
    day = _day(day)
    return f"{_year(day)}/{day:%m/%d}"


def long(day: date) -> str:
    """
    Return for instance ``民國112年4月17日``.

    Raises:
        RocDateError: the day is before 1912.
    """
    day = _day(day)
    return f"民國{_year(day)}年{day.month}月{day.day}日"


def parse(text: str) -> date:
    """
    Return the date that a person wrote, in the ROC or the Gregorian calendar.

    Years of four digits are Gregorian, shorter ones are of the ROC.

    Raises:
        RocDateError
    """
    # NFKC turns full-width digits and signs, as Chinese keyboards write them, into plain ones.
    plain = "".join(unicodedata.normalize("NFKC", text).split())
    for form in _FORMS:
        if found := form.fullmatch(plain):
            return _read(found["y"], int(found["m"]), int(found["d"]))
    raise RocDateError("no date: write for instance 112/04/17 or 2023/04/17")


def _read(year: str, month: int, day: int) -> date:
    gregorian = len(year) == len("1912")
    count = 1 if year == "元" else int(year)
    try:
        read = date(count if gregorian else count + _BEFORE_FIRST_YEAR, month, day)
    except ValueError as error:
        raise RocDateError(f"no such day: {error}") from error
    _year(read)
    return read


def _year(day: date) -> int:
    if day.year <= _BEFORE_FIRST_YEAR:
        raise RocDateError("the ROC calendar begins with 1912")
    return day.year - _BEFORE_FIRST_YEAR


def _day(day: date) -> date:
    return day_of(day) if isinstance(day, datetime) else day
