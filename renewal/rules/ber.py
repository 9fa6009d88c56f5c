"""Walks over BER in memory, as lenient as the readers of certificates that everybody uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from renewal.errors import UnreadableError
from schema.reasons import ReadingReason

if TYPE_CHECKING:
    from collections.abc import Iterator

SEQUENCE: Final = 0x30
SET: Final = 0x31
INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OBJECT_ID: Final = 0x06
CONTEXT_0: Final = 0xA0
FILLING: Final = frozenset((0x00, 0xFF))
_LONG_TAG: Final = 0x1F
_LONG: Final = 0x80
_MOST_LENGTH_BYTES: Final = 8
_DEEPEST: Final = 16
_END: Final = b"\0\0"


class BerError(UnreadableError):
    """The bytes are no BER."""


class Element(NamedTuple):
    """One value with its tag: ``raw`` as it stands, ``content`` without tag, length and end."""

    tag: int
    raw: bytes
    content: bytes

    def children(self) -> list[Element]:
        """
        Raises:
            BerError
        """
        return list(elements(self.content))


def element(data: bytes, at: int = 0) -> Element:
    """
    Return the element that begins there (X.690, 8.1); what follows it is not looked at.

    Raises:
        BerError
    """
    tag, content, end, after = _measured(data, at, 0)
    return Element(tag, data[at:after], data[content:end])


def elements(data: bytes) -> Iterator[Element]:
    """
    Yield the elements one after the other.

    Raises:
        BerError
    """
    at = 0
    while at < len(data):
        found = element(data, at)
        yield found
        at += len(found.raw)


def without_filling(data: bytes) -> bytes:
    """Return the first element alone if only filling (00 or FF) follows it, else all of it."""
    try:
        whole = element(data).raw
    except BerError:
        return data
    return whole if FILLING.issuperset(data[len(whole) :]) else data


def _measured(data: bytes, at: int, depth: int) -> tuple[int, int, int, int]:
    """
    Return the tag, and where the content begins, where it ends, and where the next one begins.
    """
    if at + 2 > len(data):
        raise BerError(ReadingReason.ENDS_EARLY)
    tag, length, content = data[at], data[at + 1], at + 2
    if tag & _LONG_TAG == _LONG_TAG:
        raise BerError(ReadingReason.FOREIGN_TAG)
    if length == _LONG:
        end = _indefinite_end(data, content, depth)
        return tag, content, end, end + len(_END)
    if length & _LONG:
        count = length & ~_LONG
        if count > _MOST_LENGTH_BYTES:
            raise BerError(ReadingReason.FOREIGN_LENGTH)
        length = int.from_bytes(data[content : content + count], "big")
        content += count
    if content + length > len(data):
        raise BerError(ReadingReason.ENDS_EARLY)
    return tag, content, content + length, content + length


def _indefinite_end(data: bytes, at: int, depth: int) -> int:
    if depth > _DEEPEST:
        raise BerError(ReadingReason.NESTED)
    while data[at : at + 2] != _END:
        *_, at = _measured(data, at, depth + 1)
    return at
