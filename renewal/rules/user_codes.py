"""Reads the twelve digits of a user code, as people type them."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

DIGITS: Final = 12
_BETWEEN: Final = re.compile(r"[\s-]")


def user_code(text: str) -> str:
    """Return its twelve digits, or an empty text where it has not twelve of them."""
    digits = _BETWEEN.sub("", unicodedata.normalize("NFKC", text))
    return digits if len(digits) == DIGITS and digits.isascii() and digits.isdigit() else ""


def masked(code: str) -> str:
    """The last four digits alone."""
    return "*" * (DIGITS - 4) + code[-4:]
