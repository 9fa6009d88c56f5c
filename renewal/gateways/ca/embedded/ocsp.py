"""Answers OCSP requests (RFC 6960)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from renewal.gateways.ca.embedded import der
from renewal.gateways.ca.embedded.crl import REASONS
from renewal.rules import ber

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from cryptography import x509

    from renewal.gateways.ca.embedded.authority import Authority

LONGEST: Final = 8_192  #: bytes; a question has about 120
#: RFC 8954 allows 32 octets, RFC 9654, which replaces it, 128; neither allows none.
LONGEST_NONCE: Final = 128
MALFORMED: Final = der.sequence(der.enumerated(1))
TRY_LATER: Final = der.sequence(der.enumerated(3))
UNAUTHORIZED: Final = der.sequence(der.enumerated(6))  #: RFC 5019, 2.2.3: of another CA
_BASIC: Final = "1.3.6.1.5.5.7.48.1.1"
_NONCE: Final = "1.3.6.1.5.5.7.48.1.2"
_HASHES: Final = {
    "sha1": "1.3.14.3.2.26",
    "sha256": "2.16.840.1.101.3.4.2.1",
    "sha384": "2.16.840.1.101.3.4.2.2",
    "sha512": "2.16.840.1.101.3.4.2.3",
}
_BY_OID: Final = {der.oid(dotted): name for name, dotted in _HASHES.items()}
_NO_PARAMETERS: Final[tuple[list[bytes], ...]] = ([], [der.NULL])  #: RFC 5754, 2: both are written
_OCTETS, _EXTENSIONS = 0x04, 0xA2
_BEFORE_THE_LIST: Final = frozenset((0xA0, 0xA1))
_KINDS: Final = [*(ber.SEQUENCE,) * 4, _OCTETS, _OCTETS, ber.INTEGER]
_GOOD: Final = der.tlv(0x80)
_UNKNOWN: Final = der.tlv(0x82)


class MalformedError(Exception):
    """What came is not a question that can be answered."""


@dataclass(frozen=True, kw_only=True)
class OcspRequest:
    """Whether one certificate is good."""

    hash: str
    issuer_name_hash: bytes
    issuer_key_hash: bytes
    serial: int
    certificate_id: bytes  #: as it was asked: clients compare the answer's byte for byte
    nonce: bytes | None  #: the extension's value, as it was asked


@dataclass(frozen=True, kw_only=True)
class OcspState:
    """What the CA knows of a certificate that it issued."""

    revoked_at: datetime | None = None  #: None: good
    reason: str | None = None


def read(request: bytes) -> OcspRequest:
    """
    Read a request for one certificate; a list of several is none for us (RFC 5019, 2.1.1).

    Raises:
        MalformedError: not such a request.
    """
    if len(request) > LONGEST:
        raise MalformedError
    try:
        outer = ber.element(request)
        fields = outer.children()[0].children()
        # RFC 6960, 4.1.1: version [0] and requestorName [1] may stand before the list.
        asked, *after = [field for field in fields if field.tag not in _BEFORE_THE_LIST]
        (one,) = asked.children()
        certificate_id = one.children()[0]
        algorithm, name, key, serial = certificate_id.children()
        kind, *parameters = [part.raw for part in algorithm.children()]
        question = OcspRequest(
            hash=_BY_OID.get(kind, "") if parameters in _NO_PARAMETERS else "",
            issuer_name_hash=name.content,
            issuer_key_hash=key.content,
            serial=int.from_bytes(serial.content, "big", signed=True),
            certificate_id=certificate_id.raw,
            nonce=_nonce(after),
        )
    except (ber.BerError, ValueError, IndexError) as error:
        raise MalformedError from error
    parts = (asked, one, certificate_id, algorithm, name, key, serial)
    kinds = [part.tag for part in parts]
    if outer.raw != request or kinds != _KINDS or not question.hash or question.serial < 0:
        raise MalformedError
    if not _is_shortest(serial.content):  # it is echoed, and no client could read the answer
        raise MalformedError
    return question


def _is_shortest(integer: bytes) -> bool:
    """Whether an INTEGER has no octet too many (X.690, 8.3.2)."""
    sign = integer[1:2] >= b"\x80"
    return bool(integer) and (len(integer) == 1 or integer[0] != (0xFF if sign else 0x00))


def _nonce(after: list[ber.Element]) -> bytes | None:
    """
    Raises:
        MalformedError: there are two, or it is of no or too many octets.
    """
    extensions = [each for part in after if part.tag == _EXTENSIONS for each in _list_in(part)]
    values = [parts[-1] for parts in map(ber.Element.children, extensions) if _is_nonce(parts)]
    if not values:
        return None
    if len(values) > 1 or values[0].tag != _OCTETS:
        raise MalformedError
    value = values[0].content
    if not 1 <= len(_inner(value)) <= LONGEST_NONCE:
        raise MalformedError
    return value


def _list_in(part: ber.Element) -> list[ber.Element]:
    return part.children()[0].children()


def _is_nonce(parts: list[ber.Element]) -> bool:
    return bool(parts) and parts[0].raw == der.oid(_NONCE)


def _inner(value: bytes) -> bytes:
    """Return the octets of a nonce, which old clients do not wrap once more (RFC 2560)."""
    try:
        wrapped = ber.element(value)
    except ber.BerError:
        return value
    return wrapped.content if wrapped.tag == _OCTETS and wrapped.raw == value else value


class IssuerHashes:
    """How a question names the CA, by each hash that may be used."""

    def __init__(self, issuer: x509.Certificate) -> None:
        name = issuer.subject.public_bytes()
        key = _key_bits(issuer)
        self._known: Mapping[str, tuple[bytes, bytes]] = {
            # SHA-1 only names the CA here; RFC 5019 requires it of every responder.
            hash_: (hashlib.new(hash_, name).digest(), hashlib.new(hash_, key).digest())
            for hash_ in _HASHES
        }

    def are_named_by(self, question: OcspRequest) -> bool:
        named = (question.issuer_name_hash, question.issuer_key_hash)
        return self._known[question.hash] == named


def _key_bits(certificate: x509.Certificate) -> bytes:
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return key.public_bytes(Encoding.DER, PublicFormat.PKCS1)


def answer(
    question: OcspRequest,
    state: OcspState | None,
    signer: Authority,
    *,
    produced_at: datetime,
    this_update: datetime,
    next_update: datetime,
) -> bytes:
    """Return the signed OCSPResponse, DER; ``None`` as state is ``unknown``."""
    single = der.sequence(
        question.certificate_id,
        _status(state),
        der.generalized_time(this_update),
        der.explicit(0, der.generalized_time(next_update)),
    )
    to_be_signed = der.sequence(
        der.explicit(2, der.octets(signer.key_identifier)),
        der.generalized_time(produced_at),
        der.sequence(single),
        _echoed(question.nonce),
    )
    certificates = der.explicit(0, der.sequence(signer.certificate.public_bytes(Encoding.DER)))
    basic = signer.sign(to_be_signed, certificates)
    return der.sequence(
        der.enumerated(0),
        der.explicit(0, der.sequence(der.oid(_BASIC), der.octets(basic))),
    )


def _status(state: OcspState | None) -> bytes:
    if state is None:
        return _UNKNOWN
    if state.revoked_at is None or state.reason is None:
        return _GOOD
    code = REASONS[state.reason]
    reason = der.explicit(0, der.enumerated(code)) if code else b""  # as in the list
    return der.tlv(0xA1, der.generalized_time(state.revoked_at), reason)


def _echoed(nonce: bytes | None) -> bytes:
    if nonce is None:
        return b""
    return der.explicit(1, der.sequence(der.extension(_NONCE, nonce)))
