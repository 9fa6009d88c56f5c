"""Walks over the DER in a file element by element, skipping what it does not need."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, NamedTuple

from renewal.errors import UnreadableError
from schema.reasons import ReadingReason

if TYPE_CHECKING:
    from collections.abc import Iterator

SEQUENCE, SET, INTEGER, OID, CONTEXT_0 = 0x30, 0x31, 0x02, 0x06, 0xA0
SIGNED_DATA = bytes.fromhex("2a864886f70d010702")  # 1.2.840.113549.1.7.2, RFC 5652
_LONG_TAG = 0x1F
_LONG_LENGTH = 0x80
_MOST_LENGTH_BYTES = 8


class DerError(UnreadableError):
    """The bytes are no DER."""


class DerElement(NamedTuple):
    tag: int
    start: int  #: of its tag
    content: int
    end: int


def element(file: IO[bytes], at: int, end: int) -> DerElement:
    """
    Return the element that begins there and lies before ``end`` (X.690, 8.1.2 and 8.1.3).

    Raises:
        DerError
    """
    file.seek(at)
    head = file.read(2 + _MOST_LENGTH_BYTES)
    if len(head) < 2:  # noqa: PLR2004 - a tag and a length
        raise DerError(ReadingReason.ENDS_EARLY)
    tag, length, content = head[0], head[1], at + 2
    if tag & _LONG_TAG == _LONG_TAG:
        raise DerError(ReadingReason.FOREIGN_TAG)
    if length & _LONG_LENGTH:
        count = length & ~_LONG_LENGTH
        if not 1 <= count <= _MOST_LENGTH_BYTES:
            raise DerError(ReadingReason.INDEFINITE)
        length = int.from_bytes(head[2 : 2 + count], "big")
        content += count
    if content + length > end:
        raise DerError(ReadingReason.ENDS_EARLY)
    return DerElement(tag, at, content, content + length)


def elements(file: IO[bytes], at: int, end: int) -> Iterator[DerElement]:
    """
    Yield the elements from there to the end, one after the other.

    Raises:
        DerError
    """
    while at < end:
        found = element(file, at, end)
        yield found
        at = found.end


def certificates_of(file: IO[bytes], signed: DerElement) -> Iterator[DerElement] | None:
    """
    Return the certificates in a PKCS#7 file, or ``None`` if the element is no such thing.

    Raises:
        DerError
    """
    outer = list(elements(file, signed.content, signed.end))
    if [part.tag for part in outer] != [OID, CONTEXT_0] or _bytes(file, outer[0]) != SIGNED_DATA:
        return None
    for part in elements(file, outer[1].content, outer[1].end):
        for field in elements(file, part.content, part.end):
            if field.tag == CONTEXT_0:  # RFC 5652, 5.1: certificates [0] IMPLICIT
                return elements(file, field.content, field.end)
    return iter(())


def _bytes(file: IO[bytes], of: DerElement) -> bytes:
    file.seek(of.content)
    return file.read(of.end - of.content)
