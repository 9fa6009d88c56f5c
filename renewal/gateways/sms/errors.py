"""What follows from a carrier's error number, read from the table beside this file."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from renewal.errors import XuqiError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Class(StrEnum):
    RECIPIENT = "recipient"
    BLOCKED = "blocked"
    CONTENT = "content"
    CONFIGURATION = "configuration"
    TRANSIENT = "transient"
    SOFT = "soft"
    STALE = "stale"


class Again(StrEnum):
    NO = "no"
    BACKOFF = "backoff"  #: full jitter, but not before the carrier's Retry-After
    LATER = "later"  #: reminders only: after ``again_after``, at most ``at_most`` times


class ErrorTableError(XuqiError):
    """
    The table of error numbers contradicts itself; the text names the place.
    """


@dataclass(frozen=True, kw_only=True)
class Follow:
    """
    What is done about an error of one class.
    """

    about: str
    bad_contact: bool = False  #: the number is marked as bad
    suppress: bool = False  #: no further text message to this number
    next_channel: bool = False  #: for ``Again.LATER``: once the tries are used up
    alarm: bool = False  #: a person must look
    stop_lane: bool = False  #: nothing else will get through either; no try is counted
    again: Again = Again.NO
    again_after: timedelta = timedelta(0)
    at_most: int = 0


@dataclass(frozen=True, kw_only=True)
class Table:
    follows: Mapping[Class, Follow]
    codes: Mapping[str, tuple[Class, str]]  #: number to its class and its meaning


def read_table(text: str) -> Table:
    """
    Raises:
        ErrorTableError: a class is missing or unknown, or a number stands twice.
    """
    sections = tomllib.loads(text)
    if sections.keys() != set(Class):
        odd = ", ".join(sorted(sections.keys() ^ set(Class)))
        raise ErrorTableError(f"error table: missing or unknown classes: {odd}")
    codes: dict[str, tuple[Class, str]] = {}
    for name, section in sections.items():
        for code, meaning in section.pop("codes").items():
            if code in codes:
                raise ErrorTableError(f"error table: {code} stands in {codes[code][0]} and {name}")
            codes[code] = (Class(name), meaning)
    follows = {Class(name): _follow(name, section) for name, section in sections.items()}
    return Table(follows=MappingProxyType(follows), codes=MappingProxyType(codes))


def _follow(name: str, section: dict[str, Any]) -> Follow:
    minutes = section.pop("again_after_minutes", 0)
    again = Again(section.pop("again", Again.NO))
    try:
        return Follow(**section, again=again, again_after=timedelta(minutes=minutes))
    except TypeError as error:
        raise ErrorTableError(f"error table, [{name}]: {error}") from error


@cache
def table() -> Table:
    return read_table(files(__package__).joinpath("errors.toml").read_text(encoding="utf-8"))


def classify(code: str | int) -> Class:
    """
    Return the class of an error number; of an unknown one ``CONTENT``: final, and with an alarm.
    """
    known = table().codes.get(str(code))
    return known[0] if known else Class.CONTENT


def follows(of: Class | str | int) -> Follow:
    """
    Return what is done about a class, or about an error number.
    """
    return table().follows[of if isinstance(of, Class) else classify(of)]


def meaning(code: str | int) -> str:
    """
    Return our own words for an error number: they hold no number and no text of a customer.
    """
    known = table().codes.get(str(code))
    return known[1] if known else "an error that is not in our table"
