"""Verifies the proofs of a renewal: the old key authorized it, the new key is held."""

from __future__ import annotations

import hashlib
from typing import Final

from asn1crypto import cms
from asn1crypto import x509 as asn1_x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from renewal.errors import ReasonedError
from renewal.rules import ber, x509
from schema.reasons import ProofReason

#: What asn1crypto raises on bytes that are no CMS.
UNREADABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError)
SIGNATURES = {
    "ec": {"sha256_ecdsa"},
    "rsa": {"rsassa_pkcs1v15", "sha256_rsa"},
}
LEAST_RSA_BITS = 2048  # NIST SP 800-131A rev. 2, table 2


#: A proof over a request of RSA has less than 4 kB.
MAX_CMS: Final = 64 * 1024
#: The signed attributes of a CMS are ten levels deep.
MAX_DEPTH: Final = 16
MAX_ELEMENTS: Final = 2_000
_CONSTRUCTED: Final = 0x20


class ProofError(ReasonedError):
    """The proof does not hold; the reason says which part of it."""


def verify_possession(certificate: bytes, challenge: bytes, signature: bytes) -> None:
    """
    Check that the challenge was signed with the certificate's key.

    ECDSA with SHA-256 in DER on P-256, or RSA PKCS#1 v1.5 with SHA-256.

    Raises:
        ProofError: not signed so, or not with that key.
    """
    key = _public_key(certificate)
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, challenge, ec.ECDSA(SHA256()))
        else:
            key.verify(signature, challenge, padding.PKCS1v15(), SHA256())
    except InvalidSignature as error:
        raise ProofError(ProofReason.SIGNATURE) from error


def verify_renewal_proof(cms_der: bytes, content: bytes, certificate: bytes) -> None:
    """
    Check that the content was signed with the key of the certificate in force (RFC 5652, 5.6).

    The content may stand in the CMS or beside it. No certificate may: it would carry an ID
    number. Whether the certificate is trusted and in force is for the caller to know.

    Raises:
        ProofError: not a proof of that content by that certificate's key.
    """
    _public_key(certificate)
    if not is_readable(cms_der):
        raise ProofError(ProofReason.NOT_CMS)
    try:
        signed = _signed_data(cms_der)
        signer = _only_signer(signed)
        _check_identity(signer, certificate)
        _check_content(signed, content)
        attributes = _attributes(signer)
        _check_attributes(attributes, content, certificate)
        _check_algorithms(signer, certificate)
        # RFC 5652, 5.4: signed is the SET OF itself, not its implicit tag.
        to_be_signed = signer["signed_attrs"].untag().dump()
        signature = signer["signature"].native
    except UNREADABLE as error:
        raise ProofError(ProofReason.NOT_CMS) from error
    verify_possession(certificate, to_be_signed, signature)


def is_readable(cms_der: bytes) -> bool:
    """
    Whether the bytes are small, flat and complete enough for a general ASN.1 library: asn1crypto
    has had no release since 2022, and is shown nothing else.
    """
    if len(cms_der) > MAX_CMS:
        return False
    left, level = MAX_ELEMENTS, [cms_der]
    for _ in range(MAX_DEPTH):
        below: list[bytes] = []
        try:
            for part in level:
                for one in ber.elements(part):
                    left -= 1
                    if left < 0:
                        return False
                    if one.tag & _CONSTRUCTED:
                        below.append(one.content)
        except ber.BerError:
            return False
        if not below:
            return True
        level = below
    return False


def confirmation(renewal: str, challenge: bytes, csr: bytes) -> bytes:
    """
    What the key in force signs to ask for its successor: a text that is for nothing else.

    It names its purpose, the renewal, the centre's challenge and the new key's request, so that a
    signature made for anything else, or for another renewal, is none for this one.
    """
    return (
        "Xuqi: this key asks for its successor (v1)\n"
        f"renewal {renewal}\n"
        f"challenge {challenge.hex()}\n"
        f"request sha256 {hashlib.sha256(csr).hexdigest()}\n"
    ).encode()


def _public_key(certificate: bytes) -> ec.EllipticCurvePublicKey | rsa.RSAPublicKey:
    try:
        key = x509.read(certificate).public_key
    except x509.UnreadableCertificateError as error:
        raise ProofError(ProofReason.CERTIFICATE.why(detail=error.reason.stored())) from error
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= LEAST_RSA_BITS:
        return key
    raise ProofError(ProofReason.KEY_KIND)


def _signed_data(cms_der: bytes) -> cms.SignedData:
    outer = cms.ContentInfo.load(cms_der, strict=True)
    if outer["content_type"].native != "signed_data":
        raise ProofError(ProofReason.NOT_SIGNED_DATA)
    signed = outer["content"]
    if len(signed["certificates"]):
        raise ProofError(ProofReason.CARRIES_CERTIFICATES)
    return signed


def _only_signer(signed: cms.SignedData) -> cms.SignerInfo:
    if len(signed["signer_infos"]) != 1:
        raise ProofError(ProofReason.SIGNERS.why(count=len(signed["signer_infos"])))
    return signed["signer_infos"][0]


def _check_identity(signer: cms.SignerInfo, certificate: bytes) -> None:
    old = asn1_x509.Certificate.load(certificate)
    if signer["sid"].name != "issuer_and_serial_number":
        raise ProofError(ProofReason.SIGNER_NOT_NAMED)
    named = signer["sid"].chosen
    if named["issuer"].dump() != old.issuer.dump() or (
        named["serial_number"].native != old.serial_number
    ):
        raise ProofError(ProofReason.OTHER_SIGNER)


def _check_content(signed: cms.SignedData, content: bytes) -> None:
    inner = signed["encap_content_info"]
    if inner["content_type"].native != "data":
        raise ProofError(ProofReason.NOT_DATA)
    if inner["content"].native not in {None, content}:
        raise ProofError(ProofReason.OTHER_CONTENT)


def _attributes(signer: cms.SignerInfo) -> dict[str, object]:
    found: dict[str, object] = {}
    for attribute in signer["signed_attrs"]:
        name = attribute["type"].native
        if name in found or len(attribute["values"]) != 1:  # RFC 5652, 11: one value each
            raise ProofError(ProofReason.ATTRIBUTE_REPEATED.why(attribute=str(name)))
        found[name] = attribute["values"][0].native
    return found


def _check_attributes(attributes: dict[str, object], content: bytes, certificate: bytes) -> None:
    if attributes.get("content_type") != "data":
        raise ProofError(ProofReason.NO_CONTENT_TYPE)
    if attributes.get("message_digest") != hashlib.sha256(content).digest():
        raise ProofError(ProofReason.OTHER_CONTENT)
    bound = attributes.get("signing_certificate_v2")  # RFC 5035
    if isinstance(bound, dict):
        named = bound["certs"][0]
        digest = hashlib.sha256(certificate).digest()
        if named["hash_algorithm"]["algorithm"] != "sha256" or named["cert_hash"] != digest:
            raise ProofError(ProofReason.OTHER_CERTIFICATE)


def _check_algorithms(signer: cms.SignerInfo, certificate: bytes) -> None:
    kind = asn1_x509.Certificate.load(certificate).public_key.algorithm
    if signer["digest_algorithm"]["algorithm"].native != "sha256":
        raise ProofError(ProofReason.DIGEST)
    if signer["signature_algorithm"]["algorithm"].native not in SIGNATURES[kind]:
        raise ProofError(ProofReason.ALGORITHM)
