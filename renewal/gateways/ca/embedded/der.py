"""Writes the few DER structures of which a CA makes thousands (ITU-T X.690)."""

from __future__ import annotations

from datetime import UTC, datetime

NULL = b"\x05\x00"
TRUE = b"\x01\x01\xff"
#: Dates up to and in this year are UTCTime, later ones GeneralizedTime (RFC 5280, 4.1.2.5).
LAST_UTC_TIME = 2049


def tlv(tag: int, *contents: bytes) -> bytes:
    body = b"".join(contents)
    length = len(body)
    if length < 0x80:  # noqa: PLR2004 -- the short form of a length (X.690, 8.1.3.4)
        return bytes((tag, length)) + body
    size = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(size))) + size + body


def sequence(*contents: bytes) -> bytes:
    return tlv(0x30, *contents)


def explicit(number: int, content: bytes) -> bytes:
    """Wrap the content in the context tag ``[number]``."""
    return tlv(0xA0 | number, content)


def integer(value: int) -> bytes:
    """Encode a number that is not negative."""
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1))


def enumerated(value: int) -> bytes:
    return tlv(0x0A, bytes((value,)))


def octets(content: bytes) -> bytes:
    return tlv(0x04, content)


def bits(content: bytes) -> bytes:
    """Encode a BIT STRING of whole octets."""
    return tlv(0x03, b"\x00", content)


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    return tlv(0x06, *map(_arc, (40 * first + second, *rest)))


def _arc(value: int) -> bytes:
    octet = bytes((value & 0x7F,))
    while value := value >> 7:
        octet = bytes((0x80 | value & 0x7F,)) + octet
    return octet


def generalized_time(moment: datetime) -> bytes:
    return tlv(0x18, f"{moment.astimezone(UTC):%Y%m%d%H%M%SZ}".encode())


def time(moment: datetime) -> bytes:
    """Encode a moment as certificates and CRLs do, to the second."""
    utc = moment.astimezone(UTC)
    if utc.year > LAST_UTC_TIME:
        return generalized_time(utc)
    return tlv(0x17, f"{utc:%y%m%d%H%M%SZ}".encode())


def extension(dotted: str, value: bytes, *, critical: bool = False) -> bytes:
    return sequence(oid(dotted), TRUE if critical else b"", octets(value))
