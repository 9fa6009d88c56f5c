"""Decides which PKCS#10 requests can be certified: one rule for the centre and for the CA."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from renewal.errors import ReasonedError
from renewal.rules import weak_keys
from schema.reasons import RequestReason

if TYPE_CHECKING:
    from schema.reasons import Reason, ReasonCode

LONGEST: Final = 16_384  #: bytes; a request with an RSA-4096 key has about 1,100
CURVES: Final = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
#: Every kind of key that a CA profile may name.
KINDS: Final = (*CURVES.values(), "RSA-2048", "RSA-3072", "RSA-4096")
#: Of these, the kinds by which a customer can prove possession (``proof.verify_possession``).
PROVABLE: Final = frozenset(KINDS) - {"P-384", "P-521"}
SMALLEST_RSA: Final = 2048  #: bits (NIST SP 800-131A)
SMALLEST_EXPONENT: Final = 65_537  #: FIPS 186-5, 5.4
HASHES: Final = ("sha256", "sha384", "sha512")
_PEM: Final = re.compile(
    rb"-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----(.*?)-----END (?:NEW )?CERTIFICATE REQUEST-----",
    re.DOTALL,
)
_MARK: Final = b"-----BEGIN "
#: How a request is made that is taken.
OPENSSL: Final = "openssl req -new -key KEY -subj / -out FILE"


class BadRequestError(ReasonedError):
    """The certificate request cannot be used; ``failure`` says why as CMP does (RFC 9810)."""

    def __init__(self, reason: Reason | ReasonCode, failure: str = "badRequest") -> None:
        super().__init__(reason)
        self.failure = failure


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """
    What a CA's profile certifies.
    """

    keys: tuple[str, ...] = KINDS
    common_name: re.Pattern[str] | None = None  #: that the whole name must match; none: any

    def names(self, id_number: str) -> bool:
        """
        Say whether a certificate can name the holder of that ID number.
        """
        name = f"{id_number}-00-000000"
        return self.common_name is None or self.common_name.fullmatch(name) is not None


ANYTHING: Final = Accepted()  #: that any profile may certify


@dataclass(frozen=True, kw_only=True)
class SubjectKey:
    """
    A public key that can be certified.
    """

    algorithm: str  #: as a profile calls it, e.g. "P-256"
    spki: bytes  #: SubjectPublicKeyInfo, DER, written anew: one key has one form
    sha256: str  #: of ``spki``, in hex
    identifier: bytes  #: SHA-1 of the key's bits (RFC 5280, 4.2.1.2, method 1)


def in_der(request: bytes) -> bytes:
    """
    Return a request that came in DER, PEM or bare base64 as DER, whatever stands around it.

    Raises:
        BadRequestError: it is none of these; says what it is.
    """
    if len(request) > LONGEST:
        raise BadRequestError(RequestReason.TOO_LONG.why(limit=LONGEST))
    text = request.removeprefix(b"\xef\xbb\xbf").strip()
    found = _PEM.search(text)
    if found is None and _MARK in text:
        raise BadRequestError(RequestReason.OTHER_PEM)
    body = found[1] if found else text
    if found is None and not _is_base64(body):
        return request
    try:
        return base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error as error:
        raise BadRequestError(RequestReason.NOT_BASE64) from error


def _is_base64(text: bytes) -> bool:
    return text.startswith(b"MI") and re.fullmatch(rb"[A-Za-z0-9+/=\s]+", text) is not None


def check(request: bytes, accepted: Accepted) -> SubjectKey:
    """
    Return the key of a request (DER) that proves possession of it and that can be certified.

    Raises:
        BadRequestError
    """
    csr = _read(request)
    key = checked_key(_public_key(csr))
    if _hash_of(csr) not in HASHES:
        raise BadRequestError(RequestReason.HASH.why(allowed=", ".join(HASHES)), "badAlg")
    if not _is_proven(csr):
        raise BadRequestError(RequestReason.UNSIGNED, "badPOP")
    if key.algorithm not in accepted.keys:
        raise BadRequestError(
            RequestReason.KEY_NOT_ACCEPTED.why(
                kind=key.algorithm, accepted=", ".join(accepted.keys)
            ),
            "badAlg",
        )
    return key


def check_request(request: bytes, accepted: Accepted = ANYTHING) -> bytes:
    """
    Return the SHA-256 of the public key of a PKCS#10 request (DER) that names nobody and that the
    CA will certify.

    Raises:
        BadRequestError
    """
    key = check(request, accepted)
    check_anonymous(request)
    return bytes.fromhex(key.sha256)


def spki_sha256(of: x509.Certificate | x509.CertificateSigningRequest) -> bytes:
    return hashlib.sha256(
        of.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).digest()


def check_anonymous(request: bytes) -> None:
    """
    Refuse a name: the request is kept and travels as it is, and the name comes from the record.

    Raises:
        BadRequestError
    """
    csr = _read(request)
    if len(csr.subject) or len(csr.attributes):
        raise BadRequestError(RequestReason.NAMED.why(command=OPENSSL))


def checked_key(key: object) -> SubjectKey:
    """
    Return a public key if it is of a kind and strength that can be certified.

    Raises:
        BadRequestError
    """
    if isinstance(key, ec.EllipticCurvePublicKey):
        algorithm = _curve(key)
    elif isinstance(key, rsa.RSAPublicKey):
        algorithm = _modulus(key)
    else:
        raise BadRequestError(RequestReason.KEY_FOREIGN, "badAlg")
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return SubjectKey(
        algorithm=algorithm,
        spki=spki,
        sha256=hashlib.sha256(spki).hexdigest(),
        identifier=x509.SubjectKeyIdentifier.from_public_key(key).digest,
    )


def _read(request: bytes) -> x509.CertificateSigningRequest:
    if len(request) > LONGEST:
        raise BadRequestError(RequestReason.TOO_LONG.why(limit=LONGEST))
    try:
        return x509.load_der_x509_csr(request)
    except x509.InvalidVersion as error:
        raise BadRequestError(RequestReason.VERSION.why(command=OPENSSL)) from error
    except (ValueError, TypeError) as error:
        raise BadRequestError(RequestReason.UNREADABLE) from error


def _public_key(csr: x509.CertificateSigningRequest) -> object:
    try:
        return csr.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadRequestError(RequestReason.KEY_UNREADABLE, "badAlg") from error


def _hash_of(csr: x509.CertificateSigningRequest) -> str:
    try:
        digest = csr.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return "unknown"
    return digest.name if digest else "none"


def _is_proven(csr: x509.CertificateSigningRequest) -> bool:
    try:
        return csr.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature):
        return False


def _curve(key: ec.EllipticCurvePublicKey) -> str:
    if key.curve.name not in CURVES:
        raise BadRequestError(RequestReason.CURVE.why(curve=key.curve.name), "badAlg")
    return CURVES[key.curve.name]


def _modulus(key: rsa.RSAPublicKey) -> str:
    numbers = key.public_numbers()
    if key.key_size < SMALLEST_RSA:
        raise BadRequestError(
            RequestReason.KEY_SHORT.why(bits=str(key.key_size), least=str(SMALLEST_RSA)), "badAlg"
        )
    if numbers.e < SMALLEST_EXPONENT:
        raise BadRequestError(RequestReason.EXPONENT.why(least=str(SMALLEST_EXPONENT)), "badAlg")
    why = weak_keys.why_weak(numbers.n)
    if why is not None:
        raise BadRequestError(why, "badAlg")
    return f"RSA-{key.key_size}"
