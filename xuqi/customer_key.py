"""A customer's key in a file: what a browser keeps, for support staff and tests at a terminal."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    pkcs7,
    pkcs12,
)

from renewal.errors import XuqiError

if TYPE_CHECKING:
    from pathlib import Path

SHORTEST, LONGEST = 4, 10  #: of an export password, as the pages have it


@dataclass(frozen=True)
class CustomerKey:
    private: ec.EllipticCurvePrivateKey

    @classmethod
    def in_file(cls, path: Path) -> CustomerKey:
        """
        The key of the file, which is made if there is none, for its owner alone.

        Raises:
            XuqiError: the file holds something else.
        """
        if path.exists():
            try:
                found = load_pem_private_key(path.read_bytes(), None)
            except (ValueError, TypeError) as error:
                raise XuqiError(f"{path}: no private key in PEM") from error
            if not isinstance(found, ec.EllipticCurvePrivateKey):
                raise XuqiError(f"{path}: not a P-256 key")
            return cls(found)
        private = ec.generate_private_key(ec.SECP256R1())
        text = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_for_owner(path, text)
        return cls(private)

    @property
    def spki(self) -> bytes:
        public = self.private.public_key()
        return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def request(self) -> bytes:
        """PKCS#10, DER, with an empty subject: the CA takes the name from the bank's record."""
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        return builder.sign(self.private, SHA256()).public_bytes(Encoding.DER)

    def sign(self, data: bytes) -> bytes:
        return self.private.sign(data, ec.ECDSA(SHA256()))

    def backup(self, certificate: bytes, password: str) -> bytes:
        """
        PKCS#12 with AES-256.

        Raises:
            XuqiError: the password is not 4 to 10 letters and digits.
        """
        fits = SHORTEST <= len(password) <= LONGEST and password.isascii() and password.isalnum()
        if not fits:
            raise XuqiError("an export password has 4 to 10 letters and digits")
        shown = x509.load_der_x509_certificate(certificate)
        sealed = BestAvailableEncryption(password.encode())
        return pkcs12.serialize_key_and_certificates(b"xuqi", self.private, shown, None, sealed)


@dataclass(frozen=True)
class Backup:
    """What a backup file holds."""

    private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    certificate: x509.Certificate

    @classmethod
    def opened(cls, path: Path, password: str) -> Backup:
        """
        Raises:
            XuqiError: wrong password or damaged file, which cannot be told apart; or no key in it.
        """
        try:
            key, certificate, _ = pkcs12.load_key_and_certificates(
                path.read_bytes(), password.encode()
            )
        except ValueError as error:
            raise XuqiError(f"{path}: wrong password or damaged file") from error
        if certificate is None or not isinstance(
            key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)
        ):
            raise XuqiError(f"{path}: holds no key with its certificate")
        return cls(key, certificate)

    @property
    def serial(self) -> str:
        return f"{self.certificate.serial_number:x}"

    def approval(self, content: bytes) -> bytes:
        """CMS, detached and without certificates, by which this key has signed the content."""
        options = [
            pkcs7.PKCS7Options.DetachedSignature,
            pkcs7.PKCS7Options.Binary,
            pkcs7.PKCS7Options.NoCerts,
        ]
        builder = pkcs7.PKCS7SignatureBuilder().set_data(content)
        signer = builder.add_signer(self.certificate, self.private, SHA256())
        return signer.sign(Encoding.DER, options)


def write_for_owner(path: Path, data: bytes) -> None:
    """
    Never over a file that is there.

    Raises:
        XuqiError
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise XuqiError(f"{path} cannot be written: {error.strerror}") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
