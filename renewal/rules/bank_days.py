"""Reads a bank's own days: its holidays, its make-up days, and what a typhoon closes."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ClosedPart = tuple[time, time]  #: from, until; until excluded

#: As counties announce it (天然災害停止上班及上課): the parts into which a day falls.
PARTS: Mapping[str, ClosedPart] = {
    "morning": (time(0), time(12)),
    "afternoon": (time(12), time(18)),
    "evening": (time(18), time.max),
}
_KEYS: Mapping[str, frozenset[str]] = {
    "closed": frozenset({"date", "why"}),
    "open": frozenset({"date", "why"}),
    "typhoon": frozenset({"date", "counties", "part", "why"}),
}


class BankDaysError(ValueError):
    """The file cannot be used; the text names the key and says what to write."""


@dataclass(frozen=True, kw_only=True)
class BankDays:
    """What differs from the country's calendar. A typhoon closes what would be open."""

    closed: frozenset[date] = frozenset()
    open: frozenset[date] = frozenset()  #: made up for another day
    typhoon: frozenset[date] = frozenset()  #: closed the whole day
    parts: Mapping[date, tuple[ClosedPart, ...]] = field(default_factory=dict)

    def is_open(self, day: date) -> bool | None:
        """``None``: as the country's calendar has it."""
        if day in self.typhoon or day in self.closed:
            return False
        return True if day in self.open else None


def read_bank_days(text: str) -> BankDays:
    """
    Read `days.toml`.

    Raises:
        BankDaysError: no TOML, an unknown key, no date, or a day that is open and closed.
    """
    try:
        read = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BankDaysError(f"the whole file: it is not TOML: {error}") from error
    county = read.pop("county", None)
    unknown = sorted(read.keys() - _KEYS.keys())
    if unknown or not isinstance(county, str | None):
        there = ", ".join(["county", *_KEYS])
        raise BankDaysError(f"{', '.join(unknown) or 'county'}: would do nothing; write {there}")
    rows = {name: list(_rows(name, read.get(name, []))) for name in _KEYS}
    closed, opened = ({row["date"] for row in rows[name]} for name in ("closed", "open"))
    if both := closed & opened:
        raise BankDaysError(f"open: {min(both)} is both closed and open: take one of them out")
    storms = [row for row in rows["typhoon"] if _is_ours(row, county)]
    return BankDays(
        closed=frozenset(closed),
        open=frozenset(opened),
        typhoon=frozenset(row["date"] for row in storms if "part" not in row),
        parts=_parts(storms),
    )


def _rows(name: str, rows: object) -> Iterator[dict[str, Any]]:
    if not isinstance(rows, list):
        raise BankDaysError(f"{name}: must be a list: {name} = [{{ date = 2026-02-16 }}]")
    for number, row in enumerate(rows, start=1):
        where = f"{name}, entry {number}"
        if not isinstance(row, dict) or not row.keys() <= _KEYS[name]:
            raise BankDaysError(f"{where}: write {{ {', '.join(sorted(_KEYS[name]))} }}")
        if not isinstance(row.get("date"), date) or isinstance(row["date"], datetime):
            raise BankDaysError(f"{where}: write date = 2026-02-16, without quotation marks")
        if row.get("part", "morning") not in PARTS:
            raise BankDaysError(f"{where}: part must be {', '.join(PARTS)}; none: the whole day")
        yield row


def _is_ours(row: Mapping[str, Any], county: str | None) -> bool:
    """Whether it closes the bank: a typhoon without counties closes everybody."""
    counties = row.get("counties")
    if counties is None:
        return True
    if not isinstance(counties, list) or not all(isinstance(name, str) for name in counties):
        raise BankDaysError('typhoon: write counties = ["臺北市", "新北市"]')
    if county is None:
        raise BankDaysError(
            'county: typhoon has counties: write the bank\'s own, county = "臺北市"'
        )
    return _known_as(county) in map(_known_as, counties)


def _known_as(county: str) -> str:
    return county.strip().replace("台", "臺")


def _parts(storms: list[dict[str, Any]]) -> Mapping[date, tuple[ClosedPart, ...]]:
    parts: dict[date, tuple[ClosedPart, ...]] = {}
    for row in storms:
        if "part" in row:
            parts[row["date"]] = (*parts.get(row["date"], ()), PARTS[row["part"]])
    return parts
