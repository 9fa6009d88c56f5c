"""Lets a key on a token sign requests and renewal proofs (RFC 2986, RFC 5652)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NoReturn

from asn1crypto import cms, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from token_station.errors import UnsupportedError
from token_station.piv.keys import key_from_spki, key_of_certificate

if TYPE_CHECKING:
    from cryptography.utils import Buffer

    from token_station.port import TokenSession


def csr(session: TokenSession, place: str, pin: str, *, last_try_released: bool = False) -> bytes:
    """
    Return a certification request (PKCS#10, DER) signed by the key in that place.

    Its subject is empty: the CA takes the name from our record, and a request travels on the
    log, where no personal data may be.

    Raises:
        UnsupportedError: the session does not know the key (see ``remember_key``).
        PinWrongError, PinBlockedError, LastTryError, BadPinFormatError, CardRemovedError.
    """
    key = card_private_key(session, place, pin, last_try_released=last_try_released)
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, SHA256()).public_bytes(Encoding.DER)


def renewal_proof(
    session: TokenSession,
    old_place: str,
    pin: str,
    content: bytes,
    *,
    last_try_released: bool = False,
) -> bytes:
    """
    Return CMS SignedData (DER) in which the key in force signs the content, the new request.

    The content is inside. The signer's certificate is not, for it carries an ID number: the
    signer is known by issuer and serial number, and by the certificate's digest (RFC 5035).

    Raises:
        UnsupportedError, KeyMismatchError: there is no usable certificate in that place.
        PinWrongError, PinBlockedError, LastTryError, BadPinFormatError, CardRemovedError.
    """
    certificate = session.read_certificate(old_place)
    if certificate is None:
        raise UnsupportedError(f"there is no certificate in {old_place} to sign with")
    key_of_certificate(certificate)  # or it is none
    attributes = _attributes(content, certificate)
    # RFC 5652, 5.4: signed is the SET OF itself; inside the SignerInfo it is tagged [0].
    signature = session.sign(
        old_place, attributes.dump(), pin=pin, last_try_released=last_try_released
    )
    return _signed_data(content, certificate, attributes, signature)


def card_private_key(
    session: TokenSession, place: str, pin: str, *, last_try_released: bool = False
) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    """
    Return a key for one signature by cryptography's builders; each signature tries the PIN once.

    Raises:
        UnsupportedError: neither session nor token can tell the public key of that place.
    """
    spki = session.public_key(place)
    if spki is None:
        raise UnsupportedError(f"nothing is known of the key in {place}: remember_key tells it")
    signer = _OnCard(session, place, pin, released=last_try_released)
    public = key_from_spki(spki).public
    if isinstance(public, ec.EllipticCurvePublicKey):
        return _EllipticCurveKey(signer, public)
    return _RsaKey(signer, public)


class _OnCard:
    """One place of one token with the PIN that opens it; shows neither."""

    def __init__(self, session: TokenSession, place: str, pin: str, *, released: bool) -> None:
        self._session = session
        self._place = place
        self._pin = pin
        self._released = released

    def sign(self, data: Buffer, algorithm: object) -> bytes:
        if isinstance(algorithm, Prehashed) or not isinstance(algorithm, SHA256):
            raise UnsupportedError("a key on a token signs with SHA-256 over the whole data")
        return self._session.sign(
            self._place, bytes(data), pin=self._pin, last_try_released=self._released
        )


class _EllipticCurveKey(ec.EllipticCurvePrivateKey):
    """A P-256 key that stays on its token."""

    def __init__(self, signer: _OnCard, public: ec.EllipticCurvePublicKey) -> None:
        self._signer = signer
        self._public = public

    def sign(self, data: Buffer, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        return self._signer.sign(data, signature_algorithm.algorithm)

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._public.curve

    @property
    def key_size(self) -> int:
        return self._public.key_size

    def exchange(self, *_: object, **__: object) -> NoReturn:
        _refuse()

    def private_numbers(self) -> NoReturn:
        _refuse()

    def private_bytes(self, *_: object, **__: object) -> NoReturn:
        _refuse()

    def __copy__(self) -> _EllipticCurveKey:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> _EllipticCurveKey:
        return self


class _RsaKey(rsa.RSAPrivateKey):
    """An RSA key that stays on its token."""

    def __init__(self, signer: _OnCard, public: rsa.RSAPublicKey) -> None:
        self._signer = signer
        self._public = public

    def sign(
        self,
        data: Buffer,
        padding: padding.AsymmetricPadding,
        algorithm: object,
    ) -> bytes:
        if not _is_pkcs1(padding):
            raise UnsupportedError("an RSA key on a token signs by PKCS#1 v1.5 only")
        return self._signer.sign(data, algorithm)

    def public_key(self) -> rsa.RSAPublicKey:
        return self._public

    @property
    def key_size(self) -> int:
        return self._public.key_size

    def decrypt(self, *_: object, **__: object) -> NoReturn:
        _refuse()

    def private_numbers(self) -> NoReturn:
        _refuse()

    def private_bytes(self, *_: object, **__: object) -> NoReturn:
        _refuse()

    def __copy__(self) -> _RsaKey:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> _RsaKey:
        return self


def _is_pkcs1(chosen: padding.AsymmetricPadding) -> bool:
    return isinstance(chosen, padding.PKCS1v15)


def _refuse() -> NoReturn:
    raise UnsupportedError("the key stays on its token: it signs and nothing else")


def _attributes(content: bytes, certificate: bytes) -> cms.CMSAttributes:
    digest = hashlib.sha256(content).digest()
    bound = tsp.SigningCertificateV2(
        {"certs": [{"cert_hash": hashlib.sha256(certificate).digest()}]}
    )
    return cms.CMSAttributes(
        [
            cms.CMSAttribute({"type": "content_type", "values": ["data"]}),
            cms.CMSAttribute({"type": "message_digest", "values": [digest]}),
            cms.CMSAttribute({"type": "signing_certificate_v2", "values": [bound]}),
        ]
    )


def _signed_data(
    content: bytes, certificate: bytes, attributes: cms.CMSAttributes, signature: bytes
) -> bytes:
    old = asn1_x509.Certificate.load(certificate)
    signer = {
        "version": "v1",
        "sid": cms.SignerIdentifier(
            name="issuer_and_serial_number",
            value={"issuer": old.issuer, "serial_number": old.serial_number},
        ),
        "digest_algorithm": {"algorithm": "sha256"},
        "signed_attrs": attributes,
        "signature_algorithm": _signature_algorithm(old.public_key.algorithm),
        "signature": signature,
    }
    signed = cms.SignedData(
        {
            "version": "v1",
            "digest_algorithms": [{"algorithm": "sha256"}],
            "encap_content_info": {"content_type": "data", "content": content},
            "signer_infos": [signer],
        }
    )
    der: bytes = cms.ContentInfo({"content_type": "signed_data", "content": signed}).dump()
    return der


def _signature_algorithm(kind: str) -> dict[str, object]:
    if kind == "ec":
        return {"algorithm": "sha256_ecdsa"}  # RFC 5754, 3.3: no parameters
    return {"algorithm": "rsassa_pkcs1v15", "parameters": None}
