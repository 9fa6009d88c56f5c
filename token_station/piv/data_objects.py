"""Packs the data objects of a PIV card (NIST SP 800-73-4 part 1, appendix A)."""

from __future__ import annotations

import gzip
import zlib

from renewal.rules.ber import without_filling
from schema.reasons import TokenReason
from token_station.errors import MalformedAnswerError, NoSerialError, TooLargeError
from token_station.piv.apdu import inside, parse, tlv

GUARANTEED = 1_905  #: bytes that every card has for a certificate object (table 7)
MOST = 2_800  #: a card was seen to refuse 3,000 bytes, and to destroy the old object by it
MOST_UNPACKED = 0x8000
GUID = 16  #: bytes; SP 800-73-4 part 1, table 9
EITHER = 32 + zlib.MAX_WBITS  #: gzip or zlib, as its head says
PACKED = 0x01  #: CertInfo: the certificate is in gzip format
PACKED_BEFORE = 0x80  #: the same bit before SP 800-73-3
NET_ID = b"\x01\x00"  #: then the length in two bytes, then zlib: SecMaker's Net iD
NET_ID_HEAD = 4
ZLIB_CHECK = 31
SEQUENCE = b"\x30"


def certificate_container(der: bytes) -> bytes:
    """
    Return the content of a certificate object; gzip beyond what every card must take.

    Raises:
        TooLargeError: even gzip does not make it fit.
    """
    container = _container(der, 0)
    if len(container) > GUARANTEED:
        container = min(container, _container(gzip.compress(der, mtime=0), PACKED), key=len)
    if len(container) > MOST:
        reason = TokenReason.CERTIFICATE_TOO_LARGE.why(bytes=len(container), limit=MOST)
        raise TooLargeError(reason=reason)
    return container


def certificate_in(container: bytes) -> bytes | None:
    """
    Return the certificate (DER) of an object's content; ``None`` if it is empty.

    Raises:
        MalformedAnswerError: it is neither empty nor a certificate's object.
    """
    if container[:1] == SEQUENCE:  # the bare certificate, as some tools have written it
        return without_filling(container)
    fields = parse(container)
    kept = fields.get(0x70, b"")
    if not kept:
        return None
    if kept[:1] == SEQUENCE:  # whatever the CertInfo says of it
        return without_filling(kept)
    if _is_packed(kept, fields.get(0x71, b"")):
        return _unpacked(kept)
    return kept


def serial_in(chuid: bytes) -> str:
    """
    Return the serial told by a card holder unique identifier: its GUID, in lower-case hex.

    A card that knows itself by four bytes has them at the end of an otherwise empty GUID; its
    serial is these eight digits.

    Raises:
        MalformedAnswerError, NoSerialError: the GUID is missing or zero.
    """
    guid = inside(chuid, 0x34)
    if len(guid) != GUID or not any(guid):
        raise NoSerialError("the token has no serial of its own (GUID in its CHUID)")
    return guid[12:].hex() if not any(guid[:12]) else guid.hex()


def chuid_for(serial: str) -> bytes:
    """
    Return the CHUID of a card with that serial: 8 or 32 lower-case hex digits, not all zero.

    Raises:
        ValueError: the serial is not of that form.
    """
    if len(serial) not in {8, 32} or set(serial) - set("0123456789abcdef"):
        raise ValueError(f"a token's serial has 8 or 32 lower-case hex digits, not {serial!r}")
    guid = bytes.fromhex(serial.rjust(32, "0"))
    if not any(guid):
        raise ValueError("a token's serial is not zero: that stands for none")
    fasc_n = bytes(25)
    fields = ((0x30, fasc_n), (0x34, guid), (0x35, b"20991231"), (0x3E, b""), (0xFE, b""))
    return b"".join(tlv(tag, value) for tag, value in fields)


def _container(der: bytes, info: int) -> bytes:
    return tlv(0x70, der) + tlv(0x71, bytes([info])) + tlv(0xFE, b"")


def _is_packed(kept: bytes, info: bytes) -> bool:
    """Say so by the first bytes; else by CertInfo, whose bits makers have read in either order."""
    begins = kept.startswith((b"\x1f\x8b", NET_ID)) or _is_zlib(kept)
    return begins or (len(info) == 1 and bool(info[0] & (PACKED | PACKED_BEFORE)))


def _is_zlib(kept: bytes) -> bool:
    head = int.from_bytes(kept[:2], "big")
    return kept[:1] == b"\x78" and head % ZLIB_CHECK == 0  # RFC 1950, 2.2


def _unpacked(packed: bytes) -> bytes:
    if packed.startswith(NET_ID):
        packed = packed[NET_ID_HEAD:]
    unzip = zlib.decompressobj(EITHER)
    try:
        der = unzip.decompress(packed, MOST_UNPACKED)
    except zlib.error as error:
        raise MalformedAnswerError("the token's certificate cannot be unpacked") from error
    if not unzip.eof:
        raise MalformedAnswerError("the token's certificate is cut off or far too large")
    return der
