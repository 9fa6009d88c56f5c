"""Gives the serials of tokens and certificates one spelling, however they are written."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_BETWEEN: Final = re.compile(r"[\s:._-]")
#: What makers and people put between the signs of a token's serial.
BETWEEN: Final = " -.:_/"
_HEX: Final = re.compile(r"[0-9A-Fa-f]+")
_OF_A_CARD: Final = 8  #: digits; a spreadsheet takes the zeros before them away


def token_serial(text: str) -> str:
    """
    Return a serial in hex in lower case, without what people put between its digits.

    Digits that are fewer than a card's own have lost the zeros before them. A serial that is no
    number in hex stays as its maker writes it.
    """
    plain = "".join(sign for sign in unicodedata.normalize("NFKC", text) if _is_seen(sign)).strip()
    digits = _BETWEEN.sub("", plain)
    if _HEX.fullmatch(digits) and (len(digits) >= _OF_A_CARD or digits == plain):
        return digits.lower().zfill(_OF_A_CARD)
    return plain


def token_key(text: str) -> str:
    """
    Return what two spellings of one token's serial have in common: neither capitals nor blanks,
    hyphens and zeros before it count. Two tokens may share it: whoever finds several asks.
    """
    seen = "".join(sign for sign in unicodedata.normalize("NFKC", text) if _is_seen(sign))
    plain = "".join(sign for sign in seen if sign not in BETWEEN and not sign.isspace())
    return plain.lower().lstrip("0")


def certificate_serial(text: str) -> str | None:
    """
    Return a certificate's serial as we keep it: hex in lower case without zeros before it; ``None``
    for what is no number in hex.
    """
    plain = "".join(sign for sign in unicodedata.normalize("NFKC", text) if _is_seen(sign))
    sign = "-" if plain.strip().startswith("-") else ""  # RFC 5280 has none; old CAs do
    digits = _BETWEEN.sub("", plain).lower().removeprefix("0x")
    return sign + (digits.lstrip("0") or "0") if _HEX.fullmatch(digits) else None


def _is_seen(sign: str) -> bool:
    """Whether it is no invisible sign, as pages and spreadsheets put among what is copied."""
    return unicodedata.category(sign) not in {"Cf", "Cc"} or sign.isspace()
