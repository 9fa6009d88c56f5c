"""The customer's side of a key kept in the browser: key, request, proof, backup."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PublicFormat,
    pkcs7,
    pkcs12,
)

TERMS = "憑證更新約定條款 2026-01"


@dataclass(frozen=True)
class BrowserKey:
    """A private key that never leaves its customer."""

    private: ec.EllipticCurvePrivateKey

    @classmethod
    def new(cls) -> BrowserKey:
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @property
    def spki(self) -> bytes:
        return self.private.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )

    def request(self) -> bytes:
        """PKCS#10, DER. Its subject is empty: the CA takes the name from the bank's record."""
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        return builder.sign(self.private, SHA256()).public_bytes(Encoding.DER)

    def sign(self, data: bytes) -> bytes:
        return self.private.sign(data, ec.ECDSA(SHA256()))

    def approval(self, content: bytes, certificate: bytes) -> bytes:
        """CMS by which this key, of this certificate, has signed the content; detached."""
        options = [
            pkcs7.PKCS7Options.DetachedSignature,
            pkcs7.PKCS7Options.Binary,
            pkcs7.PKCS7Options.NoCerts,
        ]
        signer = x509.load_der_x509_certificate(certificate)
        builder = pkcs7.PKCS7SignatureBuilder().set_data(content)
        return builder.add_signer(signer, self.private, SHA256()).sign(Encoding.DER, options)

    def backup(self, certificate: bytes, password: str) -> bytes:
        """
        PKCS#12 with AES-256; the password has 4 to 10 letters and digits, entered twice.

        Raises:
            ValueError: it has not.
        """
        if not (4 <= len(password) <= 10 and password.isascii() and password.isalnum()):  # noqa: PLR2004 - as the bank's manual has it
            raise ValueError("the password must have 4 to 10 letters and digits")
        return pkcs12.serialize_key_and_certificates(
            b"xuqi",
            self.private,
            x509.load_der_x509_certificate(certificate),
            None,
            BestAvailableEncryption(password.encode()),
        )


def verifies(certificate: bytes, data: bytes, signature: bytes) -> bool:
    """Whether the data was signed with the certificate's key."""
    key = x509.load_der_x509_certificate(certificate).public_key()
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, data, ec.ECDSA(SHA256()))
        elif isinstance(key, RSAPublicKey):
            key.verify(signature, data, padding.PKCS1v15(), SHA256())
        else:
            return False
    except InvalidSignature:
        return False
    return True
