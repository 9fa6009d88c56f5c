"""Judges the proofs that a renewal rests on: who asked for it, and who holds the new key."""

from __future__ import annotations

import hashlib

from asn1crypto import cms
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from renewal.errors import XuqiError

#: What asn1crypto raises on bytes that are no CMS.
UNREADABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError)
SIGNATURES = {
    "ec": {"sha256_ecdsa"},
    "rsa": {"rsassa_pkcs1v15", "sha256_rsa"},
}
LEAST_RSA_BITS = 2048  # NIST SP 800-131A rev. 2, table 2


class ProofError(XuqiError):
    """
    The proof does not hold; the text says which part of it.
    """


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
        raise ProofError("the signature does not verify with the certificate's key") from error


def verify_renewal_proof(cms_der: bytes, content: bytes, certificate: bytes) -> None:
    """
    Check that the content was signed with the key of the certificate in force (RFC 5652, 5.6).

    The content may stand in the CMS or beside it. No certificate may: it would carry an ID
    number. Whether the certificate is trusted and in force is for the caller to know.

    Raises:
        ProofError: not a proof of that content by that certificate's key.
    """
    _public_key(certificate)
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
        raise ProofError("the proof is not CMS SignedData") from error
    verify_possession(certificate, to_be_signed, signature)


def _public_key(certificate: bytes) -> ec.EllipticCurvePublicKey | rsa.RSAPublicKey:
    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise ProofError("this is not an X.509 certificate (DER)") from error
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= LEAST_RSA_BITS:
        return key
    raise ProofError("the certificate's key is neither P-256 nor RSA of 2048 bits or more")


def _signed_data(cms_der: bytes) -> cms.SignedData:
    outer = cms.ContentInfo.load(cms_der, strict=True)
    if outer["content_type"].native != "signed_data":
        raise ProofError("the proof is CMS, but not SignedData")
    signed = outer["content"]
    if len(signed["certificates"]):
        raise ProofError("the proof carries certificates: personal data travels nowhere")
    return signed


def _only_signer(signed: cms.SignedData) -> cms.SignerInfo:
    if len(signed["signer_infos"]) != 1:
        raise ProofError(f"the proof has {len(signed['signer_infos'])} signers instead of one")
    return signed["signer_infos"][0]


def _check_identity(signer: cms.SignerInfo, certificate: bytes) -> None:
    old = asn1_x509.Certificate.load(certificate)
    if signer["sid"].name != "issuer_and_serial_number":
        raise ProofError("the signer is not named by issuer and serial number")
    named = signer["sid"].chosen
    if named["issuer"].dump() != old.issuer.dump() or (
        named["serial_number"].native != old.serial_number
    ):
        raise ProofError("the proof names another certificate as its signer")


def _check_content(signed: cms.SignedData, content: bytes) -> None:
    inner = signed["encap_content_info"]
    if inner["content_type"].native != "data":
        raise ProofError("what the proof signs is not plain data")
    if inner["content"].native not in {None, content}:
        raise ProofError("the proof signs other content than this")


def _attributes(signer: cms.SignerInfo) -> dict[str, object]:
    found: dict[str, object] = {}
    for attribute in signer["signed_attrs"]:
        name = attribute["type"].native
        if name in found or len(attribute["values"]) != 1:  # RFC 5652, 11: one value each
            raise ProofError(f"the signed attribute {name} is there more than once")
        found[name] = attribute["values"][0].native
    return found


def _check_attributes(attributes: dict[str, object], content: bytes, certificate: bytes) -> None:
    if attributes.get("content_type") != "data":
        raise ProofError("the signed attributes lack the content type")
    if attributes.get("message_digest") != hashlib.sha256(content).digest():
        raise ProofError("the proof signs other content than this")
    bound = attributes.get("signing_certificate_v2")  # RFC 5035
    if isinstance(bound, dict):
        named = bound["certs"][0]
        digest = hashlib.sha256(certificate).digest()
        if named["hash_algorithm"]["algorithm"] != "sha256" or named["cert_hash"] != digest:
            raise ProofError("the proof is bound to another certificate")


def _check_algorithms(signer: cms.SignerInfo, certificate: bytes) -> None:
    kind = asn1_x509.Certificate.load(certificate).public_key.algorithm
    if signer["digest_algorithm"]["algorithm"].native != "sha256":
        raise ProofError("the proof's digest is not SHA-256")
    if signer["signature_algorithm"]["algorithm"].native not in SIGNATURES[kind]:
        raise ProofError("the proof's signature is neither ECDSA nor RSA PKCS#1 v1.5 with SHA-256")
