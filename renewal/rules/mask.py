"""Masks addresses and numbers for display."""

from __future__ import annotations

_TAIWAN = "+886"
_STARS = 4
_MAIL_STARS = 5  #: always five: the number of stars tells nothing about the length


def phone(number: str) -> str:
    """
    Return the first four and the last two digits, a Taiwanese number in its local form.

    A number too short to hide four of its digits is hidden whole.
    """
    local = "0" + number.removeprefix(_TAIWAN) if number.startswith(_TAIWAN) else number
    hidden = len(local) - 6
    if hidden < _STARS:
        return "*" * len(local)
    return local[:4] + "*" * hidden + local[-2:]


def mail(address: str) -> str:
    """Return the address with only the first and last letter of its local part."""
    local, at, domain = address.rpartition("@")
    if not at:
        return "*" * _MAIL_STARS
    ends = (local[0], local[-1]) if len(local) > 2 else ("", "")  # noqa: PLR2004 - two ends are all
    return ends[0] + "*" * _MAIL_STARS + ends[1] + at + domain


def id_number(number: str) -> str:
    """Return the first six characters of an ID number; a shorter one is hidden whole."""
    shown = number[:6] if len(number) > 6 else ""  # noqa: PLR2004 - the six that are shown
    return shown + "*" * _STARS


def common_name(name: str) -> str:
    """A certificate's name begins with its holder's identity number, which is not shown whole."""
    person, dash, rest = name.partition("-")
    return f"{id_number(person)}{dash}{rest}"


def name(full: str) -> str:
    """
    Return a person's name without its middle: 林○婷, Lin ○; a company's name is public and stays.
    """
    if len(full) > 4:  # noqa: PLR2004 - no personal name in Chinese is longer
        return full
    hidden = "○" * max(1, len(full) - 2)
    return full[:1] + hidden + (full[-1:] if len(full) > 2 else "")  # noqa: PLR2004 - both ends
