"""Signs any bytes as some other CA would, so that a test can break each rule of DER by itself."""

from __future__ import annotations

import base64
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import rsa

SEQUENCE, SET, INTEGER, BITS, OCTETS, NULL, OBJECT_ID = 0x30, 0x31, 0x02, 0x03, 0x04, 0x05, 0x06
UTF8, PRINTABLE, TELETEX, UTC_TIME, GENERAL_TIME = 0x0C, 0x13, 0x14, 0x17, 0x18
CN, ORG, COUNTRY, SERIAL_NUMBER = "2.5.4.3", "2.5.4.10", "2.5.4.6", "2.5.4.5"
NOON = datetime(2026, 11, 23, 4, tzinfo=UTC)
DAY = timedelta(days=1)
_LONG = 0x80


def tlv(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    if len(body) < _LONG:
        return bytes([tag, len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, _LONG | len(size)]) + size + body


def seq(*parts: bytes) -> bytes:
    return tlv(SEQUENCE, *parts)


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    out = b""
    for arc in (40 * first + second, *rest):
        piece, more = bytes([arc & 0x7F]), arc >> 7
        while more:
            piece, more = bytes([_LONG | more & 0x7F]) + piece, more >> 7
        out += piece
    return tlv(OBJECT_ID, out)


def integer(value: int) -> bytes:
    return tlv(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def attribute(kind: str, value: bytes, tag: int = UTF8) -> bytes:
    return seq(oid(kind), tlv(tag, value))


def rdn(*attributes: bytes) -> bytes:
    return tlv(SET, *sorted(attributes))


def name(*rdns: bytes) -> bytes:
    return seq(*rdns)


def named(common_name: str = "A123456789-00-000001", tag: int = UTF8) -> bytes:
    return name(rdn(attribute(CN, common_name.encode(), tag)))


def extensions(*each: bytes) -> bytes:
    return tlv(0xA3, seq(*each))


def version(number: int) -> bytes:
    return tlv(0xA0, integer(number))


ECDSA = seq(oid("1.2.840.10045.4.3.2"))
KEY_USAGE = seq(oid("2.5.29.15"), b"\1\1\xff", tlv(OCTETS, b"\x03\x02\x06\xc0"))


class OtherCa:
    """Some other CA: whatever a certificate of it says, it has signed it."""

    def __init__(self, common_name: str = "Another CA") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.issuer = name(
            rdn(attribute(COUNTRY, b"TW", PRINTABLE)), rdn(attribute(CN, common_name.encode()))
        )

    def certificate(
        self,
        subject: bytes | None = None,
        *,
        serial: bytes | int | None = None,
        spki: bytes | None = None,
        not_before: datetime = NOON - 340 * DAY,
        not_after: bytes | datetime = NOON + 25 * DAY,
        extensions: bytes = b"",
        version: bytes = version(2),
        algorithm: bytes = ECDSA,
    ) -> bytes:
        number = int.from_bytes(os.urandom(15), "big") if serial is None else serial
        to_be_signed = seq(
            version,
            tlv(INTEGER, number) if isinstance(number, bytes) else integer(number),
            algorithm,
            self.issuer,
            seq(_time(not_before), not_after if isinstance(not_after, bytes) else _time(not_after)),
            subject or named(),
            spki or spki_of(ec.generate_private_key(ec.SECP256R1())),
            extensions,
        )
        return seq(to_be_signed, algorithm, self.signed(to_be_signed))

    def signed(self, data: bytes) -> bytes:
        return tlv(BITS, b"\0", self.key.sign(data, ec.ECDSA(hashes.SHA256())))


def request(key: ec.EllipticCurvePrivateKey, *, number: int = 0) -> bytes:
    """A PKCS#10 request of any version."""
    told = seq(integer(number), seq(), spki_of(key), b"\xa0\x00")
    return seq(told, ECDSA, tlv(BITS, b"\0", key.sign(told, ec.ECDSA(hashes.SHA256()))))


def spki_of(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def pem(der: bytes, label: str = "CERTIFICATE") -> str:
    text = base64.b64encode(der).decode()
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def _time(at: datetime) -> bytes:
    return tlv(UTC_TIME, at.strftime("%y%m%d%H%M%SZ").encode())
