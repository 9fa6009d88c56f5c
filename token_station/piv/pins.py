"""Checks a PIN before the card sees it (NIST SP 800-73-4 part 2, 2.4.3)."""

from __future__ import annotations

import unicodedata

from token_station.errors import (
    BadPinFormatError,
    CardError,
    LastTryError,
    PinBlockedError,
    PinWrongError,
    PukBlockedError,
    PukWrongError,
)

OK = 0x9000
BLOCKED = 0x6983
BAD_FORMAT = 0x6A80
TRIES_LEFT = 0x63C0  #: ISO 7816-4, table 6: the last digit is the number
WRONG = 0x6300  #: wrong, and no number told
LENGTHS = range(6, 9)
#: What a token may have been given by its issuer: YubiKeys take letters, others four digits.
LENGTHS_IN_USE = range(4, 9)


def pin_field(pin: str) -> bytes:
    """
    Return a PIN that is to be tried, in the eight bytes that a card takes.

    Its token has made its own policy: whatever one may have accepted is tried.

    Raises:
        BadPinFormatError: not 4 to 8 printable signs. The text does not show it.
    """
    typed = unicodedata.normalize("NFKC", pin).strip()  # digits of a Chinese keyboard are wide
    if len(typed) not in LENGTHS_IN_USE or not _is_plain(typed):
        raise BadPinFormatError(
            "a PIN has 4 to 8 letters, digits or signs: nothing was sent to the token"
        )
    return typed.encode("ascii").ljust(8, b"\xff")


def new_pin_field(pin: str) -> bytes:
    """
    Return a new PIN in the eight bytes that a card takes.

    A card was seen to accept a change to "12": so the host checks, and first.

    Raises:
        BadPinFormatError: not 6 to 8 digits (SP 800-73-4 part 2, 2.4.3). The text does not show it.
    """
    if len(pin) not in LENGTHS or not (pin.isascii() and pin.isdigit()):
        raise BadPinFormatError("a new PIN has 6 to 8 digits: nothing was sent to the token")
    return pin.encode("ascii").ljust(8, b"\xff")


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def puk_field(puk: str) -> bytes:
    """
    Return the unblocking code in eight bytes.

    Raises:
        BadPinFormatError: not 6 to 8 printable characters. The text does not show it.
    """
    if len(puk) not in LENGTHS or not (puk.isascii() and puk.isprintable()):
        raise BadPinFormatError(
            "an unblocking code has 6 to 8 characters: nothing was sent to the token"
        )
    return puk.encode("ascii").ljust(8, b"\xff")


def guard_last_try(left: int | None, *, released: bool) -> None:
    """
    Stop before the last try unless a person has released it; an unknown number may be one.

    Raises:
        LastTryError, PinBlockedError
    """
    if left == 0:
        raise PinBlockedError("the PIN is blocked: only the unblocking code helps")
    if released or (left is not None and left > 1):
        return
    known = "one try is left" if left == 1 else "the token does not tell how many tries are left"
    raise LastTryError(f"{known} and nobody has released it: nothing was sent to the token")


def judge_pin(status: int, left_before: int | None, doing: str) -> None:
    """
    Say what the card's answer to a PIN means.

    Raises:
        PinWrongError, PinBlockedError, BadPinFormatError, CardError
    """
    if status == OK:
        return
    left = tries_told(status, left_before)
    if left == 0:
        raise PinBlockedError("the PIN is blocked: only the unblocking code helps")
    if left is not None:
        raise PinWrongError(left)
    if status == BAD_FORMAT:
        raise BadPinFormatError("the token does not take a PIN of this form")
    raise CardError(doing, status)


def judge_puk(status: int) -> None:
    """
    Say what the card's answer to an unblocking code means.

    Raises:
        PukWrongError, PukBlockedError, BadPinFormatError, CardError
    """
    if status == OK:
        return
    left = tries_told(status, None)
    if left == 0:
        raise PukBlockedError("the unblocking code is blocked: the token must be exchanged")
    if left is not None:
        raise PukWrongError(left)
    if status == BAD_FORMAT:
        raise BadPinFormatError("the token does not take an unblocking code or PIN of this form")
    raise CardError("unblock the PIN", status)


def tries_told(status: int, left_before: int | None) -> int | None:
    """Return the tries left that a status word tells: 63Cx, 6983, or 6300 after a known number."""
    if status == BLOCKED:
        return 0
    if status & 0xFFF0 == TRIES_LEFT:
        return status & 0x0F
    if status == WRONG and left_before:
        return left_before - 1
    return None
