"""Holds that the tolerant reader of certificates reads what a strict one does, and no more."""

from __future__ import annotations

import pytest
from cryptography import x509 as strict
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from renewal.rules import x509
from tests.back_office.imports.making import PrivateKey, certificate
from tests.found.other_ca import CN, TELETEX, OtherCa, attribute, integer, name, oid, rdn, seq, tlv

KEYS: dict[str, PrivateKey] = {
    "P-256": ec.generate_private_key(ec.SECP256R1()),
    "P-384": ec.generate_private_key(ec.SECP384R1()),
    "RSA": rsa.generate_private_key(65537, 2048),
    "DSA": dsa.generate_private_key(2048),
    "Ed25519": ed25519.Ed25519PrivateKey.generate(),
}
P256 = ec.SECP256R1()


@pytest.mark.parametrize("kind", KEYS)
def test_it_reads_what_the_strict_one_reads(kind: str) -> None:
    der = certificate(key=KEYS[kind])

    found, known = x509.read(der), strict.load_der_x509_certificate(der)

    assert (found.serial, found.not_before, found.not_after) == (
        known.serial_number,
        known.not_valid_before_utc,
        known.not_valid_after_utc,
    )
    assert found.subject == known.subject.public_bytes()
    assert found.issuer == known.issuer.public_bytes()
    assert found.spki == known.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )


def test_a_certificate_of_indefinite_lengths_is_read() -> None:
    der = certificate()
    body = der[4:]  # behind a tag and a length of three bytes

    found = x509.read(b"\x30\x80" + body + b"\0\0")

    assert found.serial == x509.read(der).serial


@pytest.mark.parametrize("cut", range(0, 200, 7))
def test_a_certificate_that_is_cut_off_is_none(cut: int) -> None:
    with pytest.raises(x509.UnreadableCertificateError):
        x509.read(certificate()[:cut])


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with pytest.raises(x509.UnreadableCertificateError):
        x509.read(data)


@given(st.binary(max_size=60))
def test_any_name_is_read_as_far_as_it_can_be(data: bytes) -> None:
    assert len(x509.common_names(seq(data))) <= len(data)


def test_a_request_is_no_certificate() -> None:
    builder = strict.CertificateSigningRequestBuilder().subject_name(strict.Name([]))
    csr = builder.sign(ec.generate_private_key(P256), SHA256())

    with pytest.raises(x509.UnreadableCertificateError):
        x509.read(csr.public_bytes(Encoding.DER))


def test_two_names_in_two_encodings_are_both_read() -> None:
    subject = name(
        rdn(attribute(CN, "王".encode("cp950"), TELETEX)),
        rdn(attribute(CN, "王".encode("utf-16-be"), 0x1E), attribute("2.5.4.10", b"O")),
        rdn(seq(oid(CN), integer(7))),
    )

    assert x509.common_names(subject) == ("王", "王")
    assert "O=O" in x509.shown(subject)


# --- one key, one form ----------------------------------------------------------------------------


def _spki(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _explicit(point: bytes) -> bytes:
    """P-256 given by its parameters (SEC 1, C.2)."""
    prime = 2**256 - 2**224 + 2**192 + 2**96 - 1
    b = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    base = ec.derive_private_key(1, P256).public_key()
    generator = base.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    field = seq(oid("1.2.840.10045.1.1"), integer(prime))
    curve = seq(tlv(4, (prime - 3).to_bytes(32, "big")), tlv(4, b.to_bytes(32, "big")))
    parameters = seq(integer(1), field, curve, tlv(4, generator), integer(order), integer(1))
    return seq(seq(oid("1.2.840.10045.2.1"), parameters), tlv(3, b"\0" + point))


def _forms(kind: str) -> list[bytes]:
    key = KEYS[kind].public_key()
    if isinstance(key, rsa.RSAPublicKey):
        bits = tlv(3, b"\0" + key.public_bytes(Encoding.DER, PublicFormat.PKCS1))
        algorithm = oid("1.2.840.113549.1.1.1")
        return [
            _spki(key),
            seq(seq(algorithm), bits),
            seq(seq(algorithm, seq()), bits),
            seq(seq(oid("1.2.840.113549.1.1.10")), bits),
        ]
    assert isinstance(key, ec.EllipticCurvePublicKey)
    compressed = key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    whole = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    named = seq(oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7"))
    hybrid = bytes([6 | whole[-1] & 1]) + whole[1:]
    return [
        _spki(key),
        seq(named, tlv(3, b"\0" + compressed)),
        seq(named, tlv(3, b"\0" + hybrid)),
        _explicit(whole),
    ]


@pytest.mark.parametrize("kind", ["P-256", "RSA"])
def test_one_key_has_one_form(kind: str) -> None:
    forms = _forms(kind)

    assert {x509.canonical_key(form) for form in forms} == {forms[0]}


def test_a_key_of_an_unknown_kind_stays_as_it_is() -> None:
    unknown = seq(seq(oid("1.2.3.4")), tlv(3, b"\0" + b"key"))

    assert x509.canonical_key(unknown) == unknown
    assert x509.canonical_key(b"") == b""


def test_a_key_in_another_form_is_the_same_key_in_an_import() -> None:
    forms = _forms("P-256")

    digests = {x509.canonical_key(x509.read(OtherCa().certificate(spki=it)).spki) for it in forms}

    assert len(digests) == 1
