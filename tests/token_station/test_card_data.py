"""Holds how a card's objects and keys are read, right and broken."""

from __future__ import annotations

import gzip
import random

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from schema.reasons import TokenReason
from templates.codes import text
from token_station.errors import (
    KeyMismatchError,
    MalformedAnswerError,
    TooLargeError,
    UnsupportedError,
)
from token_station.piv.apdu import tlv
from token_station.piv.data_objects import (
    GUARANTEED,
    MOST,
    certificate_container,
    certificate_in,
    chuid_for,
    serial_in,
)
from token_station.piv.key_slots import CERTIFICATE_OBJECTS, certificate_object
from token_station.piv.keys import (
    card_key,
    key_from_card,
    key_from_spki,
    key_of_certificate,
)
from token_station.simulator.card_keys import public_fields, raw_signature, spki

AROUND = 9  #: bytes around a certificate in its container
EC, RSA = 0x11, 0x07


@given(st.binary(max_size=1500))
def test_a_certificate_comes_out_of_its_container(content: bytes) -> None:
    der = tlv(0x30, content)

    assert certificate_in(certificate_container(der)) == der


@pytest.mark.parametrize(("size", "packed"), [(GUARANTEED - AROUND, 0), (GUARANTEED - 8, 1)])
def test_a_certificate_is_packed_when_not_every_card_would_take_it(size: int, packed: int) -> None:
    container = certificate_container(b"x" * size)

    assert container[-3] == packed
    assert len(container) <= GUARANTEED
    assert certificate_in(container) == b"x" * size


@pytest.mark.parametrize("size", [MOST - AROUND, MOST - AROUND + 1])
def test_what_does_not_fit_is_too_large(size: int) -> None:
    dense = random.Random(7).randbytes(size)

    if size <= MOST - AROUND:
        assert len(certificate_container(dense)) == MOST
    else:
        with pytest.raises(TooLargeError) as refused:
            certificate_container(dense)
        reason = refused.value.reason
        assert reason == TokenReason.CERTIFICATE_TOO_LARGE.why(bytes=MOST + 1, limit=MOST)
        assert "nothing was written" in text(reason, "en")


@pytest.mark.parametrize(
    "container",
    [
        tlv(0x70, b"no gzip") + tlv(0x71, b"\x01"),
        tlv(0x70, gzip.compress(b"x" * 900)[:-9]) + tlv(0x71, b"\x01"),
        tlv(0x70, gzip.compress(bytes(10_000_000))) + tlv(0x71, b"\x01"),
        b"\x70\x05abc",
    ],
    ids=["no gzip", "cut off", "a bomb", "a broken container"],
)
def test_a_broken_container_is_refused(container: bytes) -> None:
    with pytest.raises(MalformedAnswerError):
        certificate_in(container)


@pytest.mark.parametrize("container", [b"", tlv(0x70, b"") + tlv(0x71, b"\x00")])
def test_an_empty_container_holds_nothing(container: bytes) -> None:
    assert certificate_in(container) is None


@pytest.mark.parametrize("serial", ["029dc2d0", "00112233445566778899aabbccddeeff"])
def test_a_serial_comes_out_of_its_chuid(serial: str) -> None:
    assert serial_in(chuid_for(serial)) == serial


@pytest.mark.parametrize(
    ("template", "algorithm"),
    [
        (tlv(0x86, b"\x04" + bytes(64)), EC),
        (tlv(0x86, b""), EC),
        (tlv(0x86, bytes(65)), EC),
        (tlv(0x81, bytes(256)), EC),
        (tlv(0x81, bytes(256)) + tlv(0x82, b"\x03"), RSA),
        (tlv(0x81, b"\xff" * 256), RSA),
        (tlv(0x81, b"\xff" * 128) + tlv(0x82, b"\x01\x00\x01"), RSA),
        (tlv(0x81, b"\xff" * 256) + tlv(0x82, b"\xff" * 300), RSA),
        (b"", RSA),
    ],
    ids=[
        "not on the curve",
        "no point",
        "no form of point",
        "RSA where EC was asked",
        "modulus zero",
        "no exponent",
        "1024 bits",
        "huge exponent",
        "nothing",
    ],
)
def test_what_is_no_public_key_is_refused(template: bytes, algorithm: int) -> None:
    with pytest.raises(MalformedAnswerError):
        key_from_card(template, algorithm)


@pytest.fixture(scope="module", params=[EC, RSA])
def private(request: pytest.FixtureRequest) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    if request.param == EC:
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65_537, key_size=2048)


def test_a_key_comes_out_of_the_cards_template(
    private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
) -> None:
    key = card_key(private.public_key())

    assert key_from_card(public_fields(private), key.algorithm).spki == spki(private) == key.spki
    assert key_from_spki(key.spki).spki == key.spki


def test_the_cards_raw_signature_is_the_usual_one(
    private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
) -> None:
    key = card_key(private.public_key())

    signature = raw_signature(private, key.to_be_signed(b"data"))

    assert signature is not None
    key.check(b"data", signature)
    with pytest.raises(KeyMismatchError):
        key.check(b"other data", signature)


@pytest.mark.parametrize("given_bytes", [b"", bytes(31), bytes(33), b"\xff" * 256])
def test_the_card_signs_nothing_of_another_size(
    private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, given_bytes: bytes
) -> None:
    assert raw_signature(private, given_bytes) is None


def test_keys_of_other_kinds_are_not_used() -> None:
    for public in (
        ec.generate_private_key(ec.SECP384R1()).public_key(),
        rsa.generate_private_key(public_exponent=65_537, key_size=1024).public_key(),  # noqa: S505 - too short, which is the point
        None,
    ):
        with pytest.raises(UnsupportedError):
            card_key(public)
    with pytest.raises(UnsupportedError):
        key_from_spki(b"garbage")
    with pytest.raises(KeyMismatchError):
        key_of_certificate(b"garbage")


def test_every_place_has_its_own_object() -> None:
    assert len(set(CERTIFICATE_OBJECTS.values())) == len(CERTIFICATE_OBJECTS) == 24
    assert certificate_object("9C") == 0x5FC10A
    assert certificate_object("82") == 0x5FC10D
    assert certificate_object("95") == 0x5FC120
    with pytest.raises(UnsupportedError, match="'96'"):
        certificate_object("96")
