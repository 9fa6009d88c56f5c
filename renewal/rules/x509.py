"""Reads certificates as their makers wrote them, where a strict library refuses them whole."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from renewal.errors import UnreadableError
from renewal.rules import ber
from schema.reasons import ReadingReason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

COMMON_NAME: Final = "2.5.4.3"
#: The short names of RFC 4514, and the two that Taiwan's CAs use beside them.
SHORT: Final = {
    COMMON_NAME: "CN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "0.9.2342.19200300.100.1.25": "DC",
}
_UTF8, _NUMERIC, _PRINTABLE, _TELETEX, _IA5 = 0x0C, 0x12, 0x13, 0x14, 0x16
_VISIBLE, _UNIVERSAL, _BMP = 0x1A, 0x1C, 0x1E
_WIDE: Final = {_BMP: "utf-16-be", _UNIVERSAL: "utf-32-be"}
_TEXT: Final = frozenset((_UTF8, _NUMERIC, _PRINTABLE, _TELETEX, _IA5, _VISIBLE, *_WIDE))
#: What makers have put into strings of one byte each: nobody ever used T.61 itself.
_ENCODINGS: Final = ("utf-8", "cp950", "latin-1")
_UTC_TIME, _GENERAL_TIME = 0x17, 0x18
_TIME: Final = {
    _UTC_TIME: re.compile(r"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?()(Z|[+-]\d{4})"),
    _GENERAL_TIME: re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)?(\d\d)?([.,]\d+)?(Z|[+-]\d{4})"),
}
_TWENTIETH: Final = 50  #: RFC 5280, 4.1.2.5.1: years of two digits from here on are 19xx
_LAST_SECOND: Final = 59
_RSA: Final = bytes.fromhex("2a864886f70d010101")  # 1.2.840.113549.1.1.1
_RSA_NULL: Final = bytes.fromhex("300d06092a864886f70d0101010500")
_P256_UNCOMPRESSED: Final = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
_P256_LENGTH: Final = 91
#: Where each field of a TBSCertificate stands behind its version (RFC 5280, 4.1).
_SERIAL, _ISSUER, _VALIDITY, _SUBJECT, _KEY = 0, 2, 3, 4, 5
_FIELDS: Final = ((_SERIAL, ber.INTEGER), *((at, ber.SEQUENCE) for at in range(1, 6)))


class UnreadableCertificateError(UnreadableError):
    """The bytes are no certificate; the reason is what they lack."""


@dataclass(frozen=True, kw_only=True)
class ParsedCertificate:
    """
    What a certificate says, its names and its key as they stand in it: that is what is signed.
    """

    serial: int
    issuer: bytes
    subject: bytes
    not_before: datetime
    not_after: datetime
    spki: bytes

    @property
    def public_key(self) -> PublicKeyTypes | None:
        """The key, if it is of a kind that is known."""
        return _loaded(self.spki)


def read(der: bytes) -> ParsedCertificate:
    """
    Read a certificate whose encoding may break DER, and whose algorithms need not be known.

    OpenSSL, GnuTLS and Java read default values that are written out, times without seconds,
    other versions and strings with signs that their kind does not have; so does this.

    Raises:
        UnreadableCertificateError
    """
    try:
        fields = _fields(der)
        validity = fields[_VALIDITY].children()
        return ParsedCertificate(
            serial=int.from_bytes(fields[_SERIAL].content, "big", signed=True),
            issuer=fields[_ISSUER].raw,
            subject=fields[_SUBJECT].raw,
            not_before=_moment(validity[0]),
            not_after=_moment(validity[1]),
            spki=fields[_KEY].raw,
        )
    except ber.BerError as error:
        why = ReadingReason.NOT_X509_BECAUSE.why(detail=error.reason.stored())
        raise UnreadableCertificateError(why) from error
    except IndexError as error:
        raise UnreadableCertificateError(ReadingReason.NO_END) from error


def _fields(der: bytes) -> list[ber.Element]:
    outer = ber.element(der)
    if outer.raw != der:
        raise UnreadableCertificateError(ReadingReason.BYTES_FOLLOW)
    parts = outer.children() if outer.tag == ber.SEQUENCE else []
    if [part.tag for part in parts] != [ber.SEQUENCE, ber.SEQUENCE, ber.BIT_STRING]:
        raise UnreadableCertificateError(ReadingReason.NOT_X509)
    fields = parts[0].children()
    if fields and fields[0].tag == ber.CONTEXT_0:  # version [0] DEFAULT v1
        fields = fields[1:]
    found = [field.tag for field in fields[: len(_FIELDS)]]
    if found != [tag for _, tag in _FIELDS]:
        raise UnreadableCertificateError(ReadingReason.NOT_X509)
    return fields


def _moment(of: ber.Element) -> datetime:
    pattern = _TIME.get(of.tag)
    found = pattern.fullmatch(of.content.decode("ascii", "replace")) if pattern else None
    if found is None:
        raise UnreadableCertificateError(ReadingReason.NO_TIME)
    year, month, day, hour = (int(part) for part in found.groups()[:4])
    minute, second = (int(part or 0) for part in found.groups()[4:6])
    if of.tag == _UTC_TIME:
        year += 1900 if year >= _TWENTIETH else 2000
    try:
        # A leap second is not known to datetime.
        at = datetime(year, month, day, hour, minute, min(second, _LAST_SECOND), tzinfo=UTC)
        return at if found[8] == "Z" else at.replace(tzinfo=_zone(found[8])).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UnreadableCertificateError(ReadingReason.NO_YEAR) from error


def _zone(text: str) -> timezone:
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[3:5]))
    return timezone(-offset if text[0] == "-" else offset)


# --- names ----------------------------------------------------------------------------------------


def attributes(name: bytes) -> Iterator[tuple[str, str]]:
    """
    Yield the attributes of a name that are text, each by itself: (object identifier, text).

    One that cannot be read does not hide the others.
    """
    for rdn in _readable(ber.element(name).content):
        for pair in _readable(rdn.content):
            parts = _readable(pair.content)
            if len(parts) == 2 and parts[0].tag == ber.OBJECT_ID:  # noqa: PLR2004 - type and value
                text = _text(parts[1])
                if text is not None:
                    yield _dotted(parts[0].content), text


def common_names(name: bytes) -> tuple[str, ...]:
    return tuple(text for kind, text in attributes(name) if kind == COMMON_NAME)


def shown(name: bytes) -> str:
    """Return a name for people, in the order in which it is written."""
    return ", ".join(f"{SHORT.get(kind, kind)}={text}" for kind, text in attributes(name))


def _readable(data: bytes) -> list[ber.Element]:
    """Return the elements up to the first that cannot be read."""
    found: list[ber.Element] = []
    with suppress(ber.BerError):
        for each in ber.elements(data):
            found.append(each)  # noqa: PERF402 - what came before an error stands
    return found


def _text(value: ber.Element) -> str | None:
    if value.tag not in _TEXT:
        return None
    encodings = (_WIDE[value.tag],) if value.tag in _WIDE else _ENCODINGS
    for encoding in encodings:
        try:
            return value.content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return None


def _dotted(content: bytes) -> str:
    arcs, arc = list[int](), 0
    for byte in content:
        arc = arc << 7 | byte & 0x7F
        if byte < 0x80:  # noqa: PLR2004 - X.690, 8.19.2: the last byte of an arc
            arcs.append(arc)
            arc = 0
    if not arcs:
        return ""
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


# --- keys -----------------------------------------------------------------------------------------


def canonical_key(spki: bytes) -> bytes:
    """
    Return one form of a public key (SubjectPublicKeyInfo, DER), however it is written.

    A point may be compressed, a curve be given by its parameters, RSA with a NULL or without:
    it is the same key. A key of a kind that is not known stays as it is.
    """
    if len(spki) == _P256_LENGTH and spki.startswith(_P256_UNCOMPRESSED):
        return spki
    key = _loaded(spki)
    if key is None:
        return spki
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _loaded(spki: bytes) -> PublicKeyTypes | None:
    for form in (spki, _usual_rsa(spki)):
        try:
            return load_der_public_key(form)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            continue
    return None


def _usual_rsa(spki: bytes) -> bytes:
    """Return an RSA key with the parameters that it must have (RFC 3279, 2.3.1): NULL."""
    try:
        algorithm, bits = ber.element(spki).children()
        if algorithm.children()[0].content != _RSA:
            return spki
    except (ber.BerError, ValueError, IndexError):
        return spki
    size = len(_RSA_NULL) + len(bits.raw)
    return b"\x30\x82" + size.to_bytes(2, "big") + _RSA_NULL + bits.raw
