"""Packs what a PIV card keeps into its objects (NIST SP 800-73-4 part 1, appendix A)."""

from __future__ import annotations

import gzip
import zlib

from token_station.apdu import inside, parse, tlv
from token_station.driver import MalformedAnswerError, TooLargeError, UnsupportedError

GUARANTEED = 1_905  #: bytes that every card has for a certificate object (table 7)
MOST = 2_800  #: a card was seen to refuse 3,000 bytes, and to destroy the old object by it
MOST_UNPACKED = 0x8000
GUID = 16  #: bytes; SP 800-73-4 part 1, table 9
GZIP = 16 + zlib.MAX_WBITS
PACKED = 0x01  #: CertInfo: the certificate is in gzip format


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
        raise TooLargeError(
            f"the certificate needs {len(container)} bytes, the token takes {MOST}: "
            "nothing was written"
        )
    return container


def certificate_in(container: bytes) -> bytes | None:
    """
    Return the certificate (DER) of an object's content; ``None`` if it is empty.

    Raises:
        MalformedAnswerError: it is neither empty nor a certificate's object.
    """
    fields = parse(container)
    der = fields.get(0x70, b"")
    if not der:
        return None
    return _unpacked(der) if fields.get(0x71, b"\x00") == bytes([PACKED]) else der


def serial_in(chuid: bytes) -> str:
    """
    Return the serial told by a card holder unique identifier: its GUID, in lower-case hex.

    A card that knows itself by four bytes has them at the end of an otherwise empty GUID; its
    serial is these eight digits.

    Raises:
        MalformedAnswerError, UnsupportedError: the GUID is missing or zero.
    """
    guid = inside(chuid, 0x34)
    if len(guid) != GUID or not any(guid):
        raise UnsupportedError("the token has no serial of its own (GUID in its CHUID)")
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


def _unpacked(packed: bytes) -> bytes:
    unzip = zlib.decompressobj(GZIP)
    try:
        der = unzip.decompress(packed, MOST_UNPACKED)
    except zlib.error as error:
        raise MalformedAnswerError("the token's certificate is not in gzip format") from error
    if not unzip.eof:
        raise MalformedAnswerError("the token's certificate is cut off or far too large")
    return der
