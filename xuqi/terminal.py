"""Shows foreign text on a terminal so that it moves no cursor and turns no line around."""

from __future__ import annotations

import json
import unicodedata

#: Control, format and private characters, halves of pairs; line and paragraph separators.
_SHOWN_AS_CODES = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
#: What joins signs into one, as emoji and Arabic names need it.
_JOINERS = frozenset("\u200c\u200d")


def safe(text: str) -> str:
    """
    Return the text with every control character written out, line ends and tabs kept.

    Marks that turn the direction of text (UAX #9) are format characters, and written out as well.
    """
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(_one(sign) for sign in text)


def safe_line(text: str) -> str:
    """
    The same for what must stay on one line.
    """
    return safe(text).replace("\n", "\\n").replace("\t", "\\t")


def safe_json(text: str) -> str:
    """
    JSON of the same value: what a terminal would act upon is written as JSON escapes it.
    """
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    return "".join(json.dumps(sign)[1:-1] if len(_one(sign)) > 1 else sign for sign in text)


def _one(sign: str) -> str:
    if sign in "\n\t" or sign in _JOINERS:
        return sign
    if unicodedata.category(sign) not in _SHOWN_AS_CODES:
        return sign
    code = ord(sign)
    if code <= 0xFF:  # noqa: PLR2004 - as Python writes them
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - as above
