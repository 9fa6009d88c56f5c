"""Counts the segments of a text message."""

from __future__ import annotations

# 3GPP TS 23.038, 6.2.1: the GSM 7 bit default alphabet, in its order, without the escape.
_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
# 3GPP TS 23.038, 6.2.1.1: its extension table; each of these is the escape and one more septet.
_EXTENDED = frozenset("\f^{}\\[~]|€")
_GSM7 = _BASIC | _EXTENDED

# 3GPP TS 23.040, 9.2.3.24.1: 140 octets; concatenation takes 6 of them for its header.
_GSM7_ALONE, _GSM7_JOINED = 160, 153
_UCS2_ALONE, _UCS2_JOINED = 70, 67
_ASTRAL = 0x10000


def is_gsm7(text: str) -> bool:
    """Whether every character is in the GSM 7 bit default alphabet or its extension table."""
    return _GSM7.issuperset(text)


def segments(text: str) -> int:
    """How many segments carriers send, and charge, for the text; an empty text is one."""
    if is_gsm7(text):
        return _packed([1 + (sign in _EXTENDED) for sign in text], _GSM7_ALONE, _GSM7_JOINED)
    return _packed([1 + (ord(sign) >= _ASTRAL) for sign in text], _UCS2_ALONE, _UCS2_JOINED)


def _packed(units: list[int], alone: int, joined: int) -> int:
    if sum(units) <= alone:
        return 1
    count, used = 1, 0
    for unit in units:
        # TS 23.040, 9.2.3.24.1: neither an escaped nor a UCS-2 character is split between segments.
        if used + unit > joined:
            count, used = count + 1, 0
        used += unit
    return count
