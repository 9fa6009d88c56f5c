"""Reads what people type into fields."""

from __future__ import annotations

import re
import unicodedata


def digits_of(typed: str) -> str:
    """The digits as people type them: full width, with blanks or hyphens between."""
    return re.sub(r"\D", "", unicodedata.normalize("NFKC", typed), flags=re.ASCII)
