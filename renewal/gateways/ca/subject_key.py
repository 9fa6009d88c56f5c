"""Checks a customer's public key and that whoever asks holds the private one."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from renewal.errors import GatewayRefusedError

LONGEST: Final = 16_384  #: bytes; a request with an RSA-4096 key has about 1,100
CURVES: Final = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
SMALLEST_RSA: Final = 2048  #: bits (NIST SP 800-131A)
SMALLEST_EXPONENT: Final = 65_537  #: FIPS 186-5, 5.4
HASHES: Final = ("sha256", "sha384", "sha512")


@dataclass(frozen=True, kw_only=True)
class SubjectKey:
    algorithm: str  #: as a profile calls it, e.g. "P-256"
    spki: bytes  #: SubjectPublicKeyInfo, DER, written anew: one key has one form
    sha256: str  #: of ``spki``, in hex
    identifier: bytes  #: SHA-1 of the key's bits (RFC 5280, 4.2.1.2, method 1)


def from_request(csr: bytes) -> SubjectKey:
    """
    Return the key of a PKCS#10 request (DER) whose signature proves possession.

    Raises:
        GatewayRefusedError: not a request, a weak or unknown key, or a signature by another key.
    """
    if len(csr) > LONGEST:
        raise GatewayRefusedError(f"the request has more than {LONGEST} bytes", code="badRequest")
    try:
        request = x509.load_der_x509_csr(csr)
        key = request.public_key()
        digest = request.signature_hash_algorithm
        proven = request.is_signature_valid
    except (ValueError, TypeError, x509.InvalidVersion, UnsupportedAlgorithm) as error:
        raise GatewayRefusedError(
            f"not a PKCS#10 request in DER that can be read: {error}", code="badRequest"
        ) from error
    checked = _checked(key)
    if digest is None or digest.name not in HASHES:
        raise GatewayRefusedError("the request is signed with a weak hash", code="badAlg")
    if not proven:
        raise GatewayRefusedError(
            "the request's signature is not by the key that it names", code="badPOP"
        )
    return checked


def from_public_key(der: bytes) -> SubjectKey:
    """
    Return a key (SubjectPublicKeyInfo, DER) whose possession was proven elsewhere.

    Raises:
        GatewayRefusedError: not a public key, or a weak or unknown one.
    """
    try:
        key = load_der_public_key(der)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise GatewayRefusedError(f"not a public key in DER: {error}", code="badRequest") from error
    return _checked(key)


def _checked(key: object) -> SubjectKey:
    if isinstance(key, ec.EllipticCurvePublicKey):
        algorithm = _curve(key)
    elif isinstance(key, rsa.RSAPublicKey):
        algorithm = _modulus(key)
    else:
        raise GatewayRefusedError("the key is neither ECDSA nor RSA", code="badAlg")
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return SubjectKey(
        algorithm=algorithm,
        spki=spki,
        sha256=sha256(spki).hexdigest(),
        identifier=x509.SubjectKeyIdentifier.from_public_key(key).digest,
    )


def _curve(key: ec.EllipticCurvePublicKey) -> str:
    try:
        return CURVES[key.curve.name]
    except KeyError:
        raise GatewayRefusedError(
            f"the curve {key.curve.name} is not accepted", code="badAlg"
        ) from None


def _modulus(key: rsa.RSAPublicKey) -> str:
    if key.key_size < SMALLEST_RSA:
        raise GatewayRefusedError(
            f"an RSA key of {key.key_size} bits is weak: {SMALLEST_RSA} at least", code="badAlg"
        )
    if key.public_numbers().e < SMALLEST_EXPONENT:
        raise GatewayRefusedError(f"the RSA exponent is below {SMALLEST_EXPONENT}", code="badAlg")
    return f"RSA-{key.key_size}"
