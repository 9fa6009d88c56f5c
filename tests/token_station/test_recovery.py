"""Shows that a public key is recovered from signatures, and that nothing else passes for one."""

from __future__ import annotations

import secrets

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from token_station.piv.recovery import NotRecoveredError, SignedSample, p256_key, rsa_key


def spki(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def signed(key: ec.EllipticCurvePrivateKey) -> SignedSample:
    data = secrets.token_bytes(32)
    return SignedSample(data, key.sign(data, ec.ECDSA(SHA256())))


@pytest.fixture(scope="module")
def rsa_private() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=2048)


def powers(key: rsa.RSAPrivateKey, base: int) -> tuple[int, int, int]:
    numbers = key.private_numbers()
    n = numbers.public_numbers.n
    first, second, third = (pow(base**power, numbers.d, n) for power in (1, 2, 3))
    return first, second, third


def test_two_signatures_tell_a_p256_key() -> None:
    for _ in range(20):
        key = ec.generate_private_key(ec.SECP256R1())

        assert p256_key(signed(key), signed(key)).spki == spki(key)


def test_signatures_of_two_p256_keys_tell_none() -> None:
    key, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))

    with pytest.raises(NotRecoveredError, match="one P-256 key"):
        p256_key(signed(key), signed(other))


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        b"\x30\x00",
        encode_dss_signature(0, 5),
        encode_dss_signature(5, 0),
        encode_dss_signature(2**256, 5),
    ],
)
def test_what_is_no_signature_tells_no_p256_key(signature: bytes) -> None:
    key = ec.generate_private_key(ec.SECP256R1())

    with pytest.raises(NotRecoveredError, match="no ECDSA signature"):
        p256_key(SignedSample(b"data", signature), signed(key))


def test_three_powers_tell_an_rsa_key(rsa_private: rsa.RSAPrivateKey) -> None:
    for _ in range(10):  # in 4 of 10 cases there are small factors beside the modulus
        base = secrets.randbits(600)

        assert rsa_key(*powers(rsa_private, base)).spki == spki(rsa_private)


@pytest.mark.parametrize("numbers", [(0, 0, 0), (1, 1, 1), (3, 5, 7), (2**2000, 5, 2**2047)])
def test_numbers_that_are_no_powers_tell_no_rsa_key(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(NotRecoveredError, match="one RSA-2048 key"):
        rsa_key(*numbers)


def test_powers_under_two_rsa_keys_tell_none(rsa_private: rsa.RSAPrivateKey) -> None:
    other = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    base = secrets.randbits(600)

    with pytest.raises(NotRecoveredError):
        rsa_key(*powers(rsa_private, base)[:2], powers(other, base)[2])
