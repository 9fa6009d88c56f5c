"""The language of the command, and how it formats moments and tables."""

from __future__ import annotations

import unicodedata
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TAIPEI = timezone(timedelta(hours=8))
_FORM = "%Y-%m-%d %H:%M:%S"
#: In the order in which POSIX lets them overrule each other.
_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")


class Lang(StrEnum):
    ZH = "zh-TW"
    EN = "en"

    def pick(self, zh: str, en: str) -> str:
        return en if self is Lang.EN else zh


def spoken(environment: Mapping[str, str]) -> Lang:
    """English where the environment says so, otherwise zh-TW."""
    named = next((environment[name] for name in _VARIABLES if environment.get(name)), "")
    return Lang.EN if named.lower().startswith("en") else Lang.ZH


def moment(at: datetime | None) -> str:
    """A Gregorian date with the time in Taipei; the last possible second for what never ends."""
    if at is None:
        return "-"
    try:
        return at.astimezone(_TAIPEI).strftime(_FORM)
    except OverflowError:  # RFC 5280, 4.1.2.5: 99991231235959Z, no well-defined end
        return at.strftime(_FORM)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Lines with aligned columns; a Chinese character is two wide."""
    texts = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(map(_width, column)) for column in zip(*texts, strict=True)]
    return ["  ".join(map(_padded, row, widths)).rstrip() for row in texts]


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))
