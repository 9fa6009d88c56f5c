"""What the CA will not certify, it says so of, with the reason."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from renewal.errors import GatewayRefusedError
from renewal.gateways.ca.embedded import der
from renewal.gateways.ca.embedded.subject_key import from_public_key, from_request
from renewal.rules.csr import LONGEST
from tests.renewal.gateways.ca.asking import csr, csr_of, key, open_ca, public_key, request

if TYPE_CHECKING:
    from pathlib import Path

WEAK = 1024


def ed25519_csr() -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(ed25519.Ed25519PrivateKey.generate(), None).public_bytes(Encoding.DER)


def weakly_signed_csr() -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key(), hashes.SHA224()).public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("asked", "code", "why"),
    [
        (lambda: b"", "badRequest", "request_unreadable"),
        (lambda: b"-----BEGIN CERTIFICATE REQUEST-----", "badRequest", "request_unreadable"),
        (lambda: csr()[:-1], "badRequest", "request_unreadable"),
        (lambda: csr() + b"\x00", "badRequest", "request_unreadable"),
        (lambda: bytes(LONGEST + 1), "badRequest", 'request_too_long {"limit": 16384}'),
        (
            lambda: csr_of(rsa.generate_private_key(65_537, WEAK)),
            "badAlg",
            'request_key_short {"bits": "1024"',
        ),
        (
            lambda: csr_of(rsa.generate_private_key(3, 2048)),
            "badAlg",
            'request_exponent {"least": "65537"}',
        ),
        (lambda: csr_of(ec.generate_private_key(ec.SECP256K1())), "badAlg", "secp256k1"),
        (lambda: csr_of(ec.generate_private_key(ec.SECP224R1())), "badAlg", "secp224r1"),
        (ed25519_csr, "badAlg", "request_key_foreign"),
        (weakly_signed_csr, "badAlg", "request_hash"),
        (lambda: csr()[:-1] + bytes((csr()[-1] ^ 1,)), "badPOP", "request_unsigned"),
    ],
    ids=[
        *("empty", "PEM", "cut", "trailing", "long", "RSA-1024", "exponent 3"),
        *("unknown curve", "weak curve", "Ed25519", "SHA-224", "no possession"),
    ],
)
def test_a_bad_request_is_refused_with_its_reason(asked: object, code: str, why: str) -> None:
    assert callable(asked)

    with pytest.raises(GatewayRefusedError, match=why) as caught:
        from_request(asked())

    assert caught.value.code == code


def test_a_request_with_the_key_of_another_does_not_prove_possession() -> None:
    stolen = csr(1).replace(public_key(1), public_key(2))

    assert stolen != csr(1)
    with pytest.raises(GatewayRefusedError, match="request_unsigned"):
        from_request(stolen)


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()], ids=lambda one: one.name)
def test_the_curves_of_the_profile_are_accepted(curve: ec.EllipticCurve, tmp_path: Path) -> None:
    ca = open_ca(tmp_path)

    assert ca.issue(request(csr=csr_of(ec.generate_private_key(curve)))).certificate
    ca.close()


def test_a_key_that_the_profile_does_not_name_is_refused(tmp_path: Path) -> None:
    ca = open_ca(tmp_path)
    asked = request(csr=csr_of(ec.generate_private_key(ec.SECP521R1())))

    with pytest.raises(GatewayRefusedError, match="P-521 is not accepted: P-256, P-384"):
        ca.issue(asked)
    ca.close()


def test_a_refusal_does_not_repeat_the_customers_name(tmp_path: Path) -> None:
    ca = open_ca(tmp_path)

    with pytest.raises(GatewayRefusedError) as caught:
        ca.issue(request(common_name="J220230000-00-12345"))

    assert "J220230000" not in str(caught.value)
    ca.close()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_garbage_is_refused_and_never_an_exception_of_another_kind(garbage: bytes) -> None:
    with pytest.raises(GatewayRefusedError):
        from_request(garbage)
    with pytest.raises(GatewayRefusedError):
        from_public_key(garbage)


@settings(max_examples=400, deadline=None)
@given(place=st.integers(0, 10_000), value=st.integers(0, 255))
def test_a_damaged_request_is_refused_or_as_it_was(place: int, value: int) -> None:
    damaged = bytearray(csr())
    damaged[place % len(damaged)] = value

    with suppress(GatewayRefusedError):
        assert from_request(bytes(damaged)).spki == public_key()


@settings(max_examples=200, deadline=None)
@given(place=st.integers(0, 10_000), value=st.integers(0, 255))
def test_a_damaged_public_key_is_refused_or_another_key(place: int, value: int) -> None:
    damaged = bytearray(public_key())
    damaged[place % len(damaged)] = value

    with suppress(GatewayRefusedError):
        assert from_public_key(bytes(damaged)).algorithm == "P-256"


def test_one_key_has_one_form_however_it_was_written() -> None:
    point = key().public_key().public_numbers()
    algorithm = public_key()[2:23]
    # The same point, compressed (SEC 1, 2.3.3).
    bits = der.bits(bytes((2 + point.y % 2,)) + point.x.to_bytes(32))
    compressed = der.sequence(algorithm, bits)

    assert compressed != public_key()
    assert from_public_key(compressed).sha256 == from_public_key(public_key()).sha256
