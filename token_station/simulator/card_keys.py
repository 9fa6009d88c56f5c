"""The private keys inside a simulated card."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

from token_station.piv.apdu import tlv
from token_station.piv.authenticity import SERIAL_OID
from token_station.piv.keys import ALGORITHMS, P256, RSA2048, RSA_BITS

if TYPE_CHECKING:
    from collections.abc import Callable

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
DIGEST = 32
ATTESTER = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "PIV attestation")])
FROM, UNTIL = datetime(2016, 1, 1, tzinfo=UTC), datetime(2052, 1, 1, tzinfo=UTC)


def _p256() -> PrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _rsa() -> PrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=RSA_BITS)


#: PIV's byte for an algorithm: how a key of it is made.
PRIVATE_KEYS: dict[bytes, Callable[[], PrivateKey]] = {
    bytes([ALGORITHMS[P256]]): _p256,
    bytes([ALGORITHMS[RSA2048]]): _rsa,
}


def pem(key: PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")


def spki(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def spki_hash(key: PrivateKey) -> str:
    return hashlib.sha256(spki(key)).hexdigest()


def public_fields(key: PrivateKey) -> bytes:
    """Return the content of the public-key template (SP 800-73-4 part 2, table 11)."""
    public = key.public_key()
    if isinstance(public, ec.EllipticCurvePublicKey):
        return tlv(0x86, public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))
    numbers = public.public_numbers()
    exponent = numbers.e.to_bytes((numbers.e.bit_length() + 7) // 8, "big")
    return tlv(0x81, numbers.n.to_bytes(RSA_BITS // 8, "big")) + tlv(0x82, exponent)


def attested(by: PrivateKey, key: PrivateKey, serial: int, key_slot: str) -> bytes:
    """
    Return a certificate (DER) that says which token made the key (Yubico, "PIV attestation").
    """
    der = (b"\x02\x05\x00" if serial >> 31 else b"\x02\x04") + serial.to_bytes(4, "big")
    builder = (
        x509.CertificateBuilder()
        .subject_name(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Attestation {key_slot}")])
        )
        .issuer_name(ATTESTER)
        .serial_number(x509.random_serial_number())
        .not_valid_before(FROM)
        .not_valid_after(UNTIL)
        .public_key(key.public_key())
        .add_extension(x509.UnrecognizedExtension(SERIAL_OID, der), critical=False)
    )
    return builder.sign(by, SHA256()).public_bytes(Encoding.DER)


def raw_signature(key: PrivateKey, given: bytes) -> bytes | None:
    """Do the card's raw operation; ``None`` if what is given does not fit the key."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        fits = len(given) == DIGEST
        return key.sign(given, ec.ECDSA(Prehashed(SHA256()))) if fits else None
    if len(given) != RSA_BITS // 8:
        return None
    return _power(key.private_numbers(), int.from_bytes(given, "big"))


def _power(key: rsa.RSAPrivateNumbers, number: int) -> bytes | None:
    if number >= key.public_numbers.n:
        return None
    by_p, by_q = pow(number, key.dmp1, key.p), pow(number, key.dmq1, key.q)
    found = by_q + key.q * (key.iqmp * (by_p - by_q) % key.p)  # RFC 8017, 5.1.2
    return found.to_bytes(RSA_BITS // 8, "big")
