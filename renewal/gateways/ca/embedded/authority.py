"""Makes and unlocks the CA's own keys and certificates."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from renewal.errors import XuqiError
from renewal.gateways.ca.embedded import der
from renewal.gateways.ca.embedded.name import UNNAMED, CaName
from renewal.gateways.ca.embedded.to_be_signed import Issuer

if TYPE_CHECKING:
    from datetime import datetime


PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
P_256: Final = "P-256"
RSA_2048: Final = "RSA-2048"
KEYS: Final = (P_256, RSA_2048)
ROOT, ISSUING, OCSP_SIGNER = "root", "issuing", "ocsp"
_EXPONENT: Final = 65_537
#: scrypt's work, about 25 ms: the key file's own derivation is a mere 2,048 rounds of PBKDF2.
_WORK: Final = {"n": 2**13, "r": 8, "p": 1, "dklen": 32}
_SHA256: Final = hashes.SHA256()
_ECDSA: Final = ec.ECDSA(_SHA256, deterministic_signing=True)
_ECDSA_WITH_SHA256: Final = der.sequence(der.oid("1.2.840.10045.4.3.2"))
_RSA_WITH_SHA256: Final = der.sequence(der.oid("1.2.840.113549.1.1.11"), der.NULL)


class CaLockedError(XuqiError):
    """The passphrase does not open the CA's keys."""


def stretched(passphrase: bytes, salt: bytes) -> bytes:
    """
    Derive what encrypts the keys, so that guessing a passphrase is slow.

    Raises:
        CaLockedError: there is no passphrase.
    """
    if not passphrase:
        raise CaLockedError("the CA's keys need a passphrase, and it is empty")
    return hashlib.scrypt(passphrase, salt=salt, **_WORK).hex().encode()


def new_key(kind: str) -> PrivateKey:
    """
    Raises:
        XuqiError: a kind that is not one of ``KEYS``.
    """
    if kind == P_256:
        return ec.generate_private_key(ec.SECP256R1())
    if kind == RSA_2048:
        return rsa.generate_private_key(_EXPONENT, 2048)
    raise XuqiError(f"the CA's key cannot be {kind!r}: one of {', '.join(KEYS)}")


def locked(key: PrivateKey, password: bytes) -> bytes:
    """Return the key as encrypted PKCS#8, PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password))


def unlocked(pem: bytes, password: bytes) -> PrivateKey:
    """
    Raises:
        CaLockedError: wrong passphrase.
    """
    try:
        key = load_pem_private_key(pem, password)
    except ValueError as error:
        raise CaLockedError("the CA's keys do not open: the passphrase is wrong") from error
    if not isinstance(key, PrivateKey):
        raise CaLockedError("the CA's book holds a key that is neither ECDSA nor RSA")
    return key


def new_serial() -> int:
    """Return a number of 126 random bits that always has 16 octets (RFC 5280, 4.1.2.2)."""
    return 1 << 126 | secrets.randbits(126)


@dataclass(frozen=True)
class Authority:
    """A certificate and the key that signs in its name."""

    certificate: x509.Certificate
    key: PrivateKey

    @property
    def issuer(self) -> Issuer:
        return Issuer(
            name=self.certificate.subject.public_bytes(),
            key_identifier=self.key_identifier,
            algorithm=self._algorithm,
        )

    @property
    def key_identifier(self) -> bytes:
        found = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        return found.value.digest

    @property
    def _algorithm(self) -> bytes:
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            return _ECDSA_WITH_SHA256
        return _RSA_WITH_SHA256

    def sign(self, to_be_signed: bytes, *after: bytes) -> bytes:
        """
        Return the signed structure, with what follows the signature.

        The same bytes are always signed the same way (RFC 6979). The signature is verified
        before it is let out: one made by a faulty computation would give a deterministic
        key away.
        """
        key = self.key
        if isinstance(key, ec.EllipticCurvePrivateKey):
            signature = key.sign(to_be_signed, _ECDSA)
            self._elliptic.verify(signature, to_be_signed, _ECDSA)
        else:
            signature = key.sign(to_be_signed, padding.PKCS1v15(), _SHA256)
            key.public_key().verify(signature, to_be_signed, padding.PKCS1v15(), _SHA256)
        return der.sequence(to_be_signed, self._algorithm, der.bits(signature), *after)

    @property
    def _elliptic(self) -> ec.EllipticCurvePublicKey:
        public = self.certificate.public_key()
        if not isinstance(public, ec.EllipticCurvePublicKey):
            raise CaLockedError("the CA's key is not the one of its certificate")
        return public


Extensions = Iterable[tuple[x509.ExtensionType, bool]]


def root(
    key: PrivateKey, not_before: datetime, not_after: datetime, *, called: CaName = UNNAMED
) -> Authority:
    name = called.subject("Root CA")
    extensions = [
        (x509.BasicConstraints(ca=True, path_length=1), True),
        (_ca_usage(), True),
    ]
    certificate = _certificate(name, key, not_before, not_after, extensions, by=(name, key))
    return Authority(certificate, key)


def issuing(
    key: PrivateKey,
    not_before: datetime,
    not_after: datetime,
    base_url: str,
    by: Authority,
    *,
    called: CaName = UNNAMED,
) -> Authority:
    extensions = [
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (_ca_usage(), True),
        # Any policy: which one holds is said by the customer's certificate.
        (
            x509.CertificatePolicies(
                [x509.PolicyInformation(x509.ObjectIdentifier("2.5.29.32.0"), None)]
            ),
            False,
        ),
        (_crl_at(f"{base_url}/ca/root.crl"), False),
        (_issued_by(f"{base_url}/ca/root.crt"), False),
    ]
    name = called.subject("Issuing CA")
    signer = (by.certificate.subject, by.key)
    return Authority(_certificate(name, key, not_before, not_after, extensions, by=signer), key)


def ocsp_signer(
    key: PrivateKey,
    not_before: datetime,
    not_after: datetime,
    by: Authority,
    *,
    called: CaName = UNNAMED,
) -> Authority:
    """
    Return a responder that the CA delegates to (RFC 6960, 4.2.2.2).

    It carries ``id-pkix-ocsp-nocheck``, so nobody can ask whether it is revoked: it is
    short-lived instead.
    """
    extensions = [
        (_usage(digital_signature=True), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), False),
        (x509.OCSPNoCheck(), False),
    ]
    name = called.subject("OCSP Responder")
    signer = (by.certificate.subject, by.key)
    return Authority(_certificate(name, key, not_before, not_after, extensions, by=signer), key)


def _certificate(
    name: x509.Name,
    key: PrivateKey,
    not_before: datetime,
    not_after: datetime,
    extensions: Extensions,
    *,
    by: tuple[x509.Name, PrivateKey],
) -> x509.Certificate:
    issuer, signing_key = by
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(new_serial())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if issuer != name:
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key())
        builder = builder.add_extension(authority, critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(signing_key, _SHA256)


def _ca_usage() -> x509.KeyUsage:
    return _usage(key_cert_sign=True, crl_sign=True)


def _usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _crl_at(url: str) -> x509.CRLDistributionPoints:
    uri = x509.UniformResourceIdentifier(url)
    return x509.CRLDistributionPoints([x509.DistributionPoint([uri], None, None, None)])


def _issued_by(url: str) -> x509.AuthorityInformationAccess:
    method = AuthorityInformationAccessOID.CA_ISSUERS
    return x509.AuthorityInformationAccess(
        [x509.AccessDescription(method, x509.UniformResourceIdentifier(url))]
    )
