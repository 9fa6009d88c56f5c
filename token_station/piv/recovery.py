"""Recovers a public key from signatures of its private key."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from token_station.errors import KeyMismatchError, TokenError
from token_station.piv.keys import RSA_BITS, CardKey

if TYPE_CHECKING:
    from collections.abc import Iterator

Point = tuple[int, int] | None  #: ``None`` is the point at infinity

# P-256 (SEC 2 version 2, 2.4.2): y² = x³ - 3x + b over p, with n points.
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G: Point = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)

#: Every key that is made on a card has it (SP 800-78-4, 3.1).
RSA_EXPONENT = 65_537
#: What is left beside the modulus in a greatest common divisor has only small factors.
SMALL = 1 << 16


class NotRecoveredError(TokenError):
    """The signatures are not those of one key of that kind."""


@dataclass(frozen=True)
class SignedSample:
    """A message, and what the card has made of it: ECDSA with SHA-256, DER."""

    data: bytes
    signature: bytes


# --- P-256 --------------------------------------------------------------------------------------


def p256_key(first: SignedSample, second: SignedSample) -> CardKey:
    """
    Return the only P-256 key of which both are signatures.

    One signature leaves two keys or, by a chance of 2^-128, four (SEC 1 version 2, 4.1.6);
    the second one decides.

    Raises:
        NotRecoveredError
    """
    for x, y in _candidates(first):
        key = CardKey(ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key())
        if _fits(key, first) and _fits(key, second):
            return key
    raise NotRecoveredError("the signatures are not those of one P-256 key")


def _fits(key: CardKey, signed: SignedSample) -> bool:
    try:
        key.check(signed.data, signed.signature)
    except KeyMismatchError:
        return False
    return True


def _candidates(signed: SignedSample) -> Iterator[tuple[int, int]]:
    r, s = _numbers(signed.signature)
    digest = int.from_bytes(hashlib.sha256(signed.data).digest(), "big")
    inverse = pow(r, -1, N)
    for x in range(r, P, N):
        y = _root(x)
        if y is None:
            continue
        for point in ((x, y), (x, P - y)):
            found = _sum_of(-digest * inverse % N, G, s * inverse % N, point)
            if found is not None:
                yield found


def _numbers(signature: bytes) -> tuple[int, int]:
    try:
        r, s = decode_dss_signature(signature)
    except ValueError as error:
        raise NotRecoveredError("this is no ECDSA signature") from error
    if not (0 < r < N and 0 < s < N):
        raise NotRecoveredError("this is no ECDSA signature on P-256")
    return r, s


def _root(x: int) -> int | None:
    """Return a y for that x, if there is one; p is 3 modulo 4."""
    square = (x * x * x - 3 * x + B) % P
    y = pow(square, (P + 1) // 4, P)
    return y if y * y % P == square else None


def _sum_of(a: int, p: Point, b: int, q: Point) -> Point:
    """Return a·p + b·q, both at once (Shamir's trick). Public numbers only: its time may vary."""
    both, found = _add(p, q), None
    for bit in range(max(a.bit_length(), b.bit_length()) - 1, -1, -1):
        found = _add(found, found)
        which = (a >> bit & 1, b >> bit & 1)
        found = _add(found, {(1, 0): p, (0, 1): q, (1, 1): both}.get(which))
    return found


def _add(p: Point, q: Point) -> Point:
    if p is None or q is None:
        return q if p is None else p
    (x1, y1), (x2, y2) = p, q
    if x1 == x2 and (y1 + y2) % P == 0:
        return None
    rise, run = (3 * x1 * x1 - 3, 2 * y1) if p == q else (y2 - y1, x2 - x1)
    slope = rise * pow(run, -1, P)
    x = (slope * slope - x1 - x2) % P
    return x, (slope * (x1 - x) - y1) % P


# --- RSA-2048 -----------------------------------------------------------------------------------


def rsa_key(first: int, second: int, third: int) -> CardKey:
    """
    Return the RSA-2048 key that has signed b, b² and b³, in this order, for some number b.

    A card's RSA is raw, and raw RSA multiplies (RFC 8017, 5.2.1): the modulus divides
    ``first² - second`` and ``first · second - third``. By s^e of signatures in PKCS #1 form it
    would divide too, but with e = 65,537 these are numbers of 134 million bits.

    Raises:
        NotRecoveredError
    """
    modulus = math.gcd(first * first - second, first * second - third)
    for factor in range(2, SMALL):
        while modulus.bit_length() > RSA_BITS and modulus % factor == 0:
            modulus //= factor
    if modulus.bit_length() != RSA_BITS or modulus % 2 == 0 or modulus <= max(first, second, third):
        raise NotRecoveredError("the signatures are not those of one RSA-2048 key")
    return CardKey(rsa.RSAPublicNumbers(RSA_EXPONENT, modulus).public_key())
