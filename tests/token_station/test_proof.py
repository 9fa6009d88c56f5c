"""Judges renewal proofs by our verifier, and our verifier by openssl."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from asn1crypto import cms
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from renewal.rules.proof import ProofError, verify_possession, verify_renewal_proof
from tests.scenario.refusals import refused
from tests.token_station.tokens import PIN, Desk, PretendCa
from token_station.errors import UnsupportedError
from token_station.piv.keys import P256, RSA2048
from token_station.signing import card_private_key, renewal_proof

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REQUEST = b"a certification request"


@pytest.fixture(scope="module", params=[P256, RSA2048])
def desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tmp_path_factory.mktemp("proof"), algorithm=request.param)


@pytest.fixture(scope="module")
def proof(desk: Desk) -> bytes:
    return renewal_proof(desk.session(), "9C", PIN, REQUEST)


def openssl(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["openssl", *arguments], check=False, capture_output=True, timeout=60)


def test_our_proof_verifies(desk: Desk, proof: bytes) -> None:
    verify_renewal_proof(proof, REQUEST, desk.old)


def test_openssl_accepts_our_proof(desk: Desk, proof: bytes, tmp_path: Path) -> None:
    (tmp_path / "proof.der").write_bytes(proof)
    (tmp_path / "old.der").write_bytes(desk.old)
    (tmp_path / "ca.pem").write_bytes(desk.ca.certificate.public_bytes(Encoding.PEM))
    pem = openssl("x509", "-inform", "DER", "-in", str(tmp_path / "old.der")).stdout
    (tmp_path / "old.pem").write_bytes(pem)

    judged = openssl(
        *("cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", f"{tmp_path}/proof.der"),
        *("-certfile", f"{tmp_path}/old.pem", "-CAfile", f"{tmp_path}/ca.pem"),
        *("-purpose", "any", "-attime", "1795000000"),
    )

    assert judged.returncode == 0, judged.stderr
    assert judged.stdout == REQUEST


@pytest.mark.parametrize("detached", [True, False])
def test_we_accept_what_openssl_signs(detached: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a parameter
    ca, key = PretendCa(), ec.generate_private_key(ec.SECP256R1())
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    certificate = ca.certify(spki)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    (tmp_path / "cert.der").write_bytes(certificate)
    (tmp_path / "request").write_bytes(REQUEST)
    text = openssl("x509", "-inform", "DER", "-in", f"{tmp_path}/cert.der").stdout
    (tmp_path / "cert.pem").write_bytes(text)

    signed = openssl(
        *("cms", "-sign", "-binary", "-nocerts", "-md", "sha256", "-outform", "DER"),
        *("-in", f"{tmp_path}/request", "-signer", f"{tmp_path}/cert.pem"),
        *("-inkey", f"{tmp_path}/key.pem"),
        *(() if detached else ("-nodetach",)),
    ).stdout

    verify_renewal_proof(signed, REQUEST, certificate)


def test_a_proof_carries_no_certificate_and_no_name(proof: bytes) -> None:
    read = cms.ContentInfo.load(proof)["content"]

    assert not len(read["certificates"])
    assert b"A123456789" not in proof


def test_a_proof_of_other_content_is_refused(desk: Desk, proof: bytes) -> None:
    with refused(ProofError, "other content"):
        verify_renewal_proof(proof, REQUEST + b"!", desk.old)


def test_a_proof_by_another_certificate_is_refused(desk: Desk, proof: bytes) -> None:
    other = desk.ca.certify(some_spki())

    with refused(ProofError, "names another certificate"):
        verify_renewal_proof(proof, REQUEST, other)


def some_spki() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def test_a_proof_is_bound_to_the_very_certificate(desk: Desk, proof: bytes) -> None:
    ca = desk.ca
    spki = x509.load_der_x509_certificate(desk.old).public_key()
    next_serial, ca._serial = ca._serial, x509.load_der_x509_certificate(desk.old).serial_number - 1
    twin = ca.certify(
        spki.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), padding=b"a twin"
    )
    ca._serial = next_serial

    with refused(ProofError, "bound to another"):
        verify_renewal_proof(proof, REQUEST, twin)


Signed = Any  # asn1crypto has no types


def with_certificate(signed: Signed, desk: Desk) -> None:
    signed["certificates"] = [cms.CertificateChoices.load(desk.old)]


def with_two_signers(signed: Signed, _: Desk) -> None:
    one = signed["signer_infos"][0]
    signed["signer_infos"] = [one, one.copy()]


def without_signer(signed: Signed, _: Desk) -> None:
    signed["signer_infos"] = []


def with_other_signature(signed: Signed, _: Desk) -> None:
    signed["signer_infos"][0]["signature"] = bytes(64)


def with_other_content(signed: Signed, _: Desk) -> None:
    signed["encap_content_info"]["content"] = b"another request"


def with_sha1(signed: Signed, _: Desk) -> None:
    signed["signer_infos"][0]["digest_algorithm"] = {"algorithm": "sha1"}


def with_sha512_signature(signed: Signed, _: Desk) -> None:
    signed["signer_infos"][0]["signature_algorithm"] = {"algorithm": "sha512_ecdsa"}


def without_digest(signed: Signed, _: Desk) -> None:
    kept = [a for a in signed["signer_infos"][0]["signed_attrs"] if a["type"].native[0] == "c"]
    signed["signer_infos"][0]["signed_attrs"] = cms.CMSAttributes(kept)


def with_a_digest_twice(signed: Signed, _: Desk) -> None:
    attributes = list(signed["signer_infos"][0]["signed_attrs"])
    signed["signer_infos"][0]["signed_attrs"] = cms.CMSAttributes([*attributes, attributes[1]])


def without_attributes(signed: Signed, _: Desk) -> None:
    del signed["signer_infos"][0]["signed_attrs"]


def with_a_key_id(signed: Signed, _: Desk) -> None:
    identifier = cms.SignerIdentifier(name="subject_key_identifier", value=b"\x01" * 20)
    signed["signer_infos"][0]["sid"] = identifier


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (with_certificate, "carries certificates"),
        (with_two_signers, "2 signers"),
        (without_signer, "0 signers"),
        (with_other_signature, "does not verify"),
        (with_other_content, "other content"),
        (with_sha1, "not SHA-256"),
        (with_sha512_signature, "neither ECDSA nor RSA"),
        (without_digest, "other content"),
        (with_a_digest_twice, "more than once"),
        (without_attributes, "not CMS|content type"),
        (with_a_key_id, "issuer and serial"),
    ],
)
def test_a_proof_that_was_tampered_with_is_refused(
    desk: Desk, proof: bytes, spoil: Callable[[Signed, Desk], None], reason: str
) -> None:
    outer = cms.ContentInfo.load(proof)
    signed = outer["content"]
    spoil(signed, desk)
    tampered = cms.ContentInfo({"content_type": "signed_data", "content": signed.copy()})

    with refused(ProofError, reason):
        verify_renewal_proof(tampered.dump(force=True), REQUEST, desk.old)


@given(st.data())
def test_no_byte_of_a_proof_can_be_changed_unseen(
    desk: Desk, proof: bytes, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(proof) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b != proof[at]))
    changed = proof[:at] + bytes([byte]) + proof[at + 1 :]

    try:
        verify_renewal_proof(changed, REQUEST, desk.old)
    except ProofError:
        return

    # What no signature covers may differ: versions and the outer list of digests.
    assert signed_parts(changed) == signed_parts(proof)


def signed_parts(proof: bytes) -> tuple[bytes, bytes]:
    signer = cms.ContentInfo.load(proof)["content"]["signer_infos"][0]
    return signer["signed_attrs"].dump(), signer["signature"].native


@given(st.binary(max_size=200))
def test_garbage_is_no_proof(garbage: bytes) -> None:
    ca = PretendCa()

    with pytest.raises(ProofError):
        verify_renewal_proof(garbage, REQUEST, ca.certificate.public_bytes(Encoding.DER))
    with pytest.raises(ProofError):
        verify_possession(garbage, b"challenge", b"signature")


def test_something_after_the_proof_is_refused(desk: Desk, proof: bytes) -> None:
    with refused(ProofError, "not CMS"):
        verify_renewal_proof(proof + b"\x00", REQUEST, desk.old)


def test_possession_is_shown_by_a_signature_over_the_challenge(desk: Desk) -> None:
    signature = desk.session().sign("9C", b"challenge", pin=PIN)

    verify_possession(desk.old, b"challenge", signature)

    with pytest.raises(ProofError):
        verify_possession(desk.old, b"another", signature)
    with pytest.raises(ProofError):
        verify_possession(desk.ca.certify(some_spki()), b"challenge", signature)
    with pytest.raises(ProofError):
        verify_possession(desk.old, b"challenge", signature[:-1])


def test_a_certificate_with_another_kind_of_key_proves_nothing(desk: Desk) -> None:
    key = ec.generate_private_key(ec.SECP384R1()).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    with refused(ProofError, "P-256"):
        verify_possession(desk.ca.certify(spki), b"challenge", b"")


def test_a_key_on_a_token_signs_and_nothing_else(desk: Desk) -> None:
    session = desk.session()
    session.generate("9A", desk.algorithm)
    key = card_private_key(session, "9A", PIN)

    with pytest.raises(UnsupportedError):
        key.private_numbers()
    with pytest.raises(UnsupportedError):
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert PIN not in repr(key) + repr(vars(key))
