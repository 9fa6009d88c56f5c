"""Decodes Big5 with the characters that a bank has made itself (造字), as Windows maps them."""

from __future__ import annotations

from typing import Final

#: First and last lead byte of each range for a user's own characters, the first trail byte of its
#: first row as an index, and where Windows' code page 950 puts them among the private use.
_RANGES: Final = (
    (0xFA, 0xFE, 0, 0xE000),
    (0x8E, 0xA0, 0, 0xE311),
    (0x81, 0x8D, 0, 0xEEB8),
    (0xC6, 0xC8, 63, 0xF6B1),
)
_A_ROW: Final = 157  #: trail bytes 40-7E and A1-FE
_LOW, _LOW_LAST, _HIGH, _HIGH_LAST = 0x40, 0x7E, 0xA1, 0xFE


def decode(raw: bytes) -> str:
    """
    Return the text of code page 950; Python's own codec lacks the ranges for a user's characters.

    Raises:
        UnicodeDecodeError
    """
    parts, at = list[str](), 0
    while at < len(raw):
        try:
            return "".join((*parts, raw[at:].decode("cp950")))
        except UnicodeDecodeError as error:
            parts.append(raw[at : at + error.start].decode("cp950"))
            at += error.start
            own = _own(raw[at : at + 2])
            if own is None:
                raise
            parts.append(own)
            at += 2
    return "".join(parts)


def _own(pair: bytes) -> str | None:
    if len(pair) != 2:  # noqa: PLR2004 - lead and trail
        return None
    lead, trail = pair
    if _LOW <= trail <= _LOW_LAST:
        index = trail - _LOW
    elif _HIGH <= trail <= _HIGH_LAST:
        index = trail - _HIGH + _LOW_LAST - _LOW + 1
    else:
        return None
    for first, last, begins, private in _RANGES:
        if first <= lead <= last and (lead - first) * _A_ROW + index >= begins:
            return chr(private + (lead - first) * _A_ROW + index - begins)
    return None
