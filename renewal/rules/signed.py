"""Verifies the signature of a certificate, whatever else of it cannot be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

from renewal.errors import UnreadableError
from renewal.rules import ber
from schema.reasons import ReadingReason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

#: RFC 4055, 5: sha256, sha384, sha512 WithRSAEncryption.
_RSA: Final[Mapping[str, HashAlgorithm]] = {
    "2a864886f70d01010b": SHA256(),
    "2a864886f70d01010c": SHA384(),
    "2a864886f70d01010d": SHA512(),
}
#: RFC 5758, 3.2: ecdsa-with-SHA256, -SHA384, -SHA512.
_ECDSA: Final[Mapping[str, HashAlgorithm]] = {
    "2a8648ce3d040302": SHA256(),
    "2a8648ce3d040303": SHA384(),
    "2a8648ce3d040304": SHA512(),
}
_PSS: Final = "2a864886f70d01010a"
_ED25519: Final = "2b6570"
#: Two different certificates with one signature can be made: MD5, SHA-1 (NIST SP 800-131A, 9).
_FORGED: Final = frozenset(
    {"2a864886f70d010104", "2a864886f70d010105", "2a8648ce3d0401", "2b0e03021d", "2a8648ce380403"}
)
LEAST_RSA_BITS: Final = 2048


class NotSignedError(UnreadableError):
    """The signature does not verify."""


def verify_certificate(der: bytes, key: PublicKeyTypes) -> None:
    """
    Check that this key has signed the certificate.

    Raises:
        NotSignedError
    """
    try:
        to_be_signed, algorithm, bits = ber.element(der).children()
        fields = to_be_signed.children()
        inner = fields[2 if fields[0].tag == ber.CONTEXT_0 else 1]
        name = algorithm.children()[0].content.hex()
    except (ber.BerError, ValueError, IndexError) as error:
        raise NotSignedError(ReadingReason.UNREADABLE) from error
    if inner.raw != algorithm.raw:  # RFC 5280, 4.1.1.2
        raise NotSignedError(ReadingReason.TWO_ALGORITHMS)
    if bits.content[:1] != b"\0":
        raise NotSignedError(ReadingReason.NO_WHOLE_BYTES)
    _verify(name, key, bits.content[1:], to_be_signed.raw, der)


def _verify(name: str, key: PublicKeyTypes, signature: bytes, data: bytes, der: bytes) -> None:
    if name in _FORGED:
        raise NotSignedError(ReadingReason.CAN_BE_FORGED)
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < LEAST_RSA_BITS:
        raise NotSignedError(ReadingReason.SHORT_KEY.why(bits=str(LEAST_RSA_BITS)))
    try:
        if isinstance(key, rsa.RSAPublicKey) and name in _RSA:
            key.verify(signature, data, padding.PKCS1v15(), _RSA[name])
        elif isinstance(key, rsa.RSAPublicKey) and name == _PSS:
            _verify_pss(key, signature, data, der)
        elif isinstance(key, ec.EllipticCurvePublicKey) and name in _ECDSA:
            key.verify(signature, data, ec.ECDSA(_ECDSA[name]))
        elif isinstance(key, ed25519.Ed25519PublicKey) and name == _ED25519:
            key.verify(signature, data)
        else:
            raise NotSignedError(ReadingReason.OTHER_KIND)
    except (InvalidSignature, UnsupportedAlgorithm) as error:
        raise NotSignedError(ReadingReason.OTHER_KEY) from error


def _verify_pss(key: rsa.RSAPublicKey, signature: bytes, data: bytes, der: bytes) -> None:
    """RSASSA-PSS, whose parameters stand in the algorithm (RFC 4055, 3.1)."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        chosen, hash_ = (
            certificate.signature_algorithm_parameters,
            (certificate.signature_hash_algorithm),
        )
    except (ValueError, x509.InvalidVersion) as error:
        raise NotSignedError(ReadingReason.UNREADABLE) from error
    if not isinstance(chosen, padding.PSS) or not isinstance(hash_, SHA256 | SHA384 | SHA512):
        raise NotSignedError(ReadingReason.OTHER_KEY)
    key.verify(signature, data, chosen, hash_)
