"""Translates keys and signatures between PIV's own forms and the usual ones (SP 800-78-4)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from renewal.rules import x509
from token_station.errors import KeyMismatchError, MalformedAnswerError, UnsupportedError
from token_station.piv.apdu import inside, parse

P256 = "P-256"
RSA2048 = "RSA-2048"
ALGORITHMS = {P256: 0x11, RSA2048: 0x07}  #: SP 800-78-4, table 6-2
RSA_BITS = 2048
#: DigestInfo of SHA-256 without the digest (RFC 8017, 9.2, note 1).
SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


@dataclass(frozen=True)
class CardKey:
    """The public half of a key on a card."""

    public: PublicKey

    @property
    def algorithm(self) -> int:
        """PIV's number for it."""
        return ALGORITHMS[P256 if isinstance(self.public, ec.EllipticCurvePublicKey) else RSA2048]

    @property
    def spki(self) -> bytes:
        return self.public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def to_be_signed(self, data: bytes) -> bytes:
        """Return what the card's raw operation takes: the digest, for RSA in EMSA-PKCS1-v1_5."""
        digest = hashlib.sha256(data).digest()
        if isinstance(self.public, ec.EllipticCurvePublicKey):
            return digest
        tail = b"\x00" + SHA256_INFO + digest
        return b"\x00\x01".ljust(RSA_BITS // 8 - len(tail), b"\xff") + tail

    def check(self, data: bytes, signature: bytes) -> None:
        """
        Raises:
            KeyMismatchError: the signature is not this key's.
        """
        try:
            if isinstance(self.public, ec.EllipticCurvePublicKey):
                self.public.verify(signature, data, ec.ECDSA(SHA256()))
            else:
                self.public.verify(signature, data, padding.PKCS1v15(), SHA256())
        except InvalidSignature as error:
            raise KeyMismatchError("the token signed with another key than expected") from error


def card_key(public: object) -> CardKey:
    """
    Raises:
        UnsupportedError: neither P-256 nor RSA-2048.
    """
    if isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, ec.SECP256R1):
        return CardKey(public)
    if isinstance(public, rsa.RSAPublicKey) and public.key_size == RSA_BITS:
        return CardKey(public)
    raise UnsupportedError("only P-256 and RSA-2048 keys are used on tokens")


def key_from_spki(spki: bytes) -> CardKey:
    """
    Raises:
        UnsupportedError: not a public key of a supported kind.
    """
    try:
        return card_key(load_der_public_key(spki))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UnsupportedError("this is not a public key (SPKI, DER)") from error


def key_of_certificate(der: bytes) -> CardKey:
    """
    Raises:
        KeyMismatchError: not a certificate at all.
        UnsupportedError: its key is of a kind that tokens do not use here.
    """
    try:
        return card_key(x509.read(der).public_key)
    except x509.UnreadableCertificateError as error:
        raise KeyMismatchError("this is not an X.509 certificate (DER)") from error


def check_certificate(der: bytes, key_slot: str) -> None:
    """
    Raises:
        MalformedAnswerError: the card has something else where a certificate should be.
    """
    try:
        x509.read(der)
    except x509.UnreadableCertificateError as error:
        raise MalformedAnswerError(f"what is in {key_slot} is not an X.509 certificate") from error


def key_from_card(template: bytes, algorithm: int) -> CardKey:
    """
    Read the value of a card's public-key template (7F49).

    Raises:
        MalformedAnswerError
    """
    try:
        if algorithm == ALGORITHMS[P256]:
            point = inside(template, 0x86)
            return card_key(ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point))
        parts = parse(template)
        modulus, exponent = (int.from_bytes(parts.get(tag, b""), "big") for tag in (0x81, 0x82))
        return card_key(rsa.RSAPublicNumbers(exponent, modulus).public_key())
    except (ValueError, OverflowError, UnsupportedAlgorithm, UnsupportedError) as error:
        raise MalformedAnswerError("the token's public key is none") from error
