"""Gives the proof's reader what an attacker would send: it refuses, and does nothing else."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import (
    PKCS7Options,
    PKCS7SignatureBuilder,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from renewal.rules import proof

KEY = ec.generate_private_key(ec.SECP256R1())
NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "holder")])
CERTIFICATE = (
    x509.CertificateBuilder()
    .subject_name(NAME)
    .issuer_name(NAME)
    .public_key(KEY.public_key())
    .serial_number(7)
    .not_valid_before(NOON)
    .not_valid_after(NOON + timedelta(days=1))
    .sign(KEY, SHA256())
)
DER = CERTIFICATE.public_bytes(Encoding.DER)
CONTENT = b"xuqi renewal"
OPTIONS = [PKCS7Options.Binary, PKCS7Options.NoCerts, PKCS7Options.NoCapabilities]
SIGNED = (
    PKCS7SignatureBuilder()
    .set_data(CONTENT)
    .add_signer(CERTIFICATE, KEY, SHA256())
    .sign(Encoding.DER, OPTIONS)
)
BOUNDED = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def test_the_proof_that_is_spoilt_below_holds() -> None:
    proof.verify_renewal_proof(SIGNED, CONTENT, DER)


@BOUNDED
@given(st.binary(max_size=400))
def test_any_bytes_are_refused_as_no_proof(data: bytes) -> None:
    with pytest.raises(proof.ProofError):
        proof.verify_renewal_proof(data, CONTENT, DER)


@BOUNDED
@given(st.integers(0, len(SIGNED) - 1), st.binary(min_size=1, max_size=6))
def test_a_spoilt_proof_is_refused_or_is_the_same_proof(at: int, patch: bytes) -> None:
    data = SIGNED[:at] + patch + SIGNED[at + len(patch) :]

    if data == SIGNED:
        return
    try:
        proof.verify_renewal_proof(data, CONTENT, DER)
    except proof.ProofError:
        return
    # What was spoilt is no part of what is signed, as the version number: nothing else is proven.
    with pytest.raises(proof.ProofError):
        proof.verify_renewal_proof(data, CONTENT + b"!", DER)


@BOUNDED
@given(st.integers(0, len(SIGNED)), st.integers(0, len(SIGNED)))
def test_a_part_that_is_cut_out_is_noticed(start: int, end: int) -> None:
    data = SIGNED[: min(start, end)] + SIGNED[max(start, end) :]

    if data != SIGNED:
        with pytest.raises(proof.ProofError):
            proof.verify_renewal_proof(data, CONTENT, DER)


def nested(depth: int) -> bytes:
    data = b""
    for _ in range(depth):
        size = len(data)
        length = bytes([size]) if size < 128 else b"\x83" + size.to_bytes(3, "big")
        data = b"\x30" + length + data
    return data


BOMBS = {
    "nested": nested(5_000),
    "nested without a length": b"\x30\x80" * 20_000,
    "many": b"\x30\x82\xff\xfe" + b"\x05\x00" * 32_767,
    "large": b"\x30\x84\x00\xff\xff\xff" + b"\0" * 1_000_000,
    "a length that is not there": b"\x30\x88" + b"\xff" * 8,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_the_library_sees_it(name: str) -> None:
    started = time.process_time()

    with pytest.raises(proof.ProofError):
        proof.verify_renewal_proof(BOMBS[name], CONTENT, DER)

    assert not proof.is_readable(BOMBS[name])
    assert time.process_time() - started < 1
