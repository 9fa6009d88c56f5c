"""Answers questions about single certificates (RFC 6960)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp

from renewal.gateways.ca import der
from renewal.gateways.ca.crl import REASONS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from renewal.gateways.ca.authority import Authority

LONGEST: Final = 8_192  #: bytes; a question has about 120
#: RFC 8954 allows 32 octets, RFC 9654, which replaces it, 128; neither allows none.
LONGEST_NONCE: Final = 128
MALFORMED: Final = der.sequence(der.enumerated(1))
TRY_LATER: Final = der.sequence(der.enumerated(3))
_BASIC: Final = "1.3.6.1.5.5.7.48.1.1"
_NONCE: Final = "1.3.6.1.5.5.7.48.1.2"
_HASHES: Final = {
    "sha1": "1.3.14.3.2.26",
    "sha256": "2.16.840.1.101.3.4.2.1",
    "sha384": "2.16.840.1.101.3.4.2.2",
    "sha512": "2.16.840.1.101.3.4.2.3",
}
_UNREADABLE: Final = (
    *(ValueError, TypeError, NotImplementedError, UnsupportedAlgorithm),
    *(x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType),
)
_GOOD: Final = der.tlv(0x80)
_UNKNOWN: Final = der.tlv(0x82)


class MalformedError(Exception):
    """
    What came is not a question that can be answered.
    """


@dataclass(frozen=True, kw_only=True)
class Question:
    """
    Whether one certificate is good.
    """

    hash: str
    issuer_name_hash: bytes
    issuer_key_hash: bytes
    serial: int
    nonce: bytes | None

    @property
    def certificate_id(self) -> bytes:
        algorithm = der.sequence(der.oid(_HASHES[self.hash]), der.NULL)
        return der.sequence(
            algorithm,
            der.octets(self.issuer_name_hash),
            der.octets(self.issuer_key_hash),
            der.integer(self.serial),
        )


@dataclass(frozen=True, kw_only=True)
class State:
    """
    What the CA knows of a certificate that it issued.
    """

    revoked_at: datetime | None = None  #: None: good
    reason: str | None = None


def read(request: bytes) -> Question:
    """
    Read a request for one certificate; a list of several is none for us (RFC 5019, 2.1.1).

    Raises:
        MalformedError: not such a request.
    """
    if len(request) > LONGEST:
        raise MalformedError
    try:
        asked = ocsp.load_der_ocsp_request(request)
        question = Question(
            hash=asked.hash_algorithm.name,
            issuer_name_hash=asked.issuer_name_hash,
            issuer_key_hash=asked.issuer_key_hash,
            serial=asked.serial_number,
            nonce=_nonce(asked.extensions),
        )
    except _UNREADABLE as error:
        raise MalformedError from error
    if question.hash not in _HASHES or question.serial < 0:
        raise MalformedError
    return question


def _nonce(extensions: x509.Extensions) -> bytes | None:
    try:
        nonce = extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    except x509.ExtensionNotFound:
        return None
    if not 1 <= len(nonce) <= LONGEST_NONCE:
        raise MalformedError
    return nonce


class IssuerHashes:
    """
    How a question names the CA, by each hash that may be used.
    """

    def __init__(self, issuer: x509.Certificate) -> None:
        name = issuer.subject.public_bytes()
        key = _key_bits(issuer)
        self._known: Mapping[str, tuple[bytes, bytes]] = {
            # SHA-1 only names the CA here; RFC 5019 requires it of every responder.
            hash_: (hashlib.new(hash_, name).digest(), hashlib.new(hash_, key).digest())
            for hash_ in _HASHES
        }

    def are_named_by(self, question: Question) -> bool:
        named = (question.issuer_name_hash, question.issuer_key_hash)
        return self._known[question.hash] == named


def _key_bits(certificate: x509.Certificate) -> bytes:
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return key.public_bytes(Encoding.DER, PublicFormat.PKCS1)


def answer(
    question: Question,
    state: State | None,
    signer: Authority,
    *,
    this_update: datetime,
    next_update: datetime,
) -> bytes:
    """
    Return the signed OCSPResponse, DER; ``None`` as state is ``unknown``.
    """
    single = der.sequence(
        question.certificate_id,
        _status(state),
        der.generalized_time(this_update),
        der.explicit(0, der.generalized_time(next_update)),
    )
    to_be_signed = der.sequence(
        der.explicit(2, der.octets(signer.key_identifier)),
        der.generalized_time(this_update),
        der.sequence(single),
        _echoed(question.nonce),
    )
    certificates = der.explicit(0, der.sequence(signer.certificate.public_bytes(Encoding.DER)))
    basic = signer.sign(to_be_signed, certificates)
    return der.sequence(
        der.enumerated(0),
        der.explicit(0, der.sequence(der.oid(_BASIC), der.octets(basic))),
    )


def _status(state: State | None) -> bytes:
    if state is None:
        return _UNKNOWN
    if state.revoked_at is None or state.reason is None:
        return _GOOD
    reason = der.explicit(0, der.enumerated(REASONS[state.reason]))
    return der.tlv(0xA1, der.generalized_time(state.revoked_at), reason)


def _echoed(nonce: bytes | None) -> bytes:
    if nonce is None:
        return b""
    return der.explicit(1, der.sequence(der.extension(_NONCE, der.octets(nonce))))
