"""The action for each carrier error number, from the table beside this file."""

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


class ErrorClass(StrEnum):
    RECIPIENT = "recipient"
    UNREACHABLE = "unreachable"
    BLOCKED = "blocked"
    ROUTE = "route"
    CONTENT = "content"
    CONFIGURATION = "configuration"
    TRANSIENT = "transient"
    SOFT = "soft"
    STALE = "stale"


class Resend(StrEnum):
    NO = "no"
    LATER = "later"  #: reminders only: after ``again_after``, at most ``at_most`` times


class ErrorTableError(XuqiError):
    """The table of error numbers contradicts itself; the text names the place."""


@dataclass(frozen=True, kw_only=True)
class ErrorAction:
    """What is done about an error of one class."""

    about: str
    proofs: int = 0  #: so many within 14 days let the number rest; none: it says nothing of it
    next_channel: bool = False  #: for ``Again.LATER``: once the tries are used up
    alarm: bool = False  #: a person must look
    stop_lane: bool = False  #: nothing else will get through either; no try is counted
    again: Resend = Resend.NO
    again_after: timedelta = timedelta(0)
    at_most: int = 0


@dataclass(frozen=True, kw_only=True)
class Table:
    follows: Mapping[ErrorClass, ErrorAction]
    codes: Mapping[str, tuple[ErrorClass, str]]  #: number to its class and its meaning


def read_table(text: str) -> Table:
    """
    Raises:
        ErrorTableError: a class is missing or unknown, or a number stands twice.
    """
    sections = tomllib.loads(text)
    if sections.keys() != set(ErrorClass):
        odd = ", ".join(sorted(sections.keys() ^ set(ErrorClass)))
        raise ErrorTableError(f"error table: missing or unknown classes: {odd}")
    codes: dict[str, tuple[ErrorClass, str]] = {}
    for name, section in sections.items():
        for code, meaning in section.pop("codes").items():
            if code in codes:
                raise ErrorTableError(f"error table: {code} stands in {codes[code][0]} and {name}")
            codes[code] = (ErrorClass(name), meaning)
    follows = {ErrorClass(name): _follow(name, section) for name, section in sections.items()}
    return Table(follows=MappingProxyType(follows), codes=MappingProxyType(codes))


def _follow(name: str, section: dict[str, Any]) -> ErrorAction:
    minutes = section.pop("again_after_minutes", 0)
    again = Resend(section.pop("again", Resend.NO))
    try:
        return ErrorAction(**section, again=again, again_after=timedelta(minutes=minutes))
    except TypeError as error:
        raise ErrorTableError(f"error table, [{name}]: {error}") from error


@cache
def table() -> Table:
    return read_table(files(__package__).joinpath("errors.toml").read_text(encoding="utf-8"))


def known(code: str | int) -> ErrorClass | None:
    """Return the class of an error number, or ``None`` if it is not in the table."""
    found = table().codes.get(str(code))
    return found[0] if found else None


def classify(code: str | int) -> ErrorClass:
    """
    Return the class of an error number that was reported of a message which its carrier had taken;
    of an unknown one ``CONTENT``: final, counted, and with an alarm.
    """
    return known(code) or ErrorClass.CONTENT


def action_for(of: ErrorClass | str | int) -> ErrorAction:
    """Return what is done about a class, or about an error number."""
    return table().follows[of if isinstance(of, ErrorClass) else classify(of)]


def meaning(code: str | int) -> str:
    """Return our own words for an error number: they hold no number and no text of a customer."""
    found = table().codes.get(str(code))
    return found[1] if found else "an error that is not in our table"
