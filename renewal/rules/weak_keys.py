"""Finds RSA keys whose private half anybody can compute (CA/Browser Forum BR 6.1.1.3)."""

from __future__ import annotations

import math
from functools import cache
from typing import Final

from schema.reasons import RequestReason

_SMALL: Final = 752  #: as Let's Encrypt does: no prime below it may divide a modulus
_FERMAT_ROUNDS: Final = 100
#: Infineon's library made primes of the form k·M + 65537^a mod M (CVE-2017-15361, "ROCA"), M the
#: product of these: a modulus then lies in a small group for each of them.
_ROCA_BELOW: Final = 168
_ROCA_GENERATOR: Final = 65_537


def why_weak(modulus: int) -> RequestReason | None:
    """
    Return why an RSA modulus can be factored, or ``None`` if none of the known ways works.
    """
    if math.gcd(modulus, _product()) > 1:
        return RequestReason.SMALL_FACTOR
    if _has_close_primes(modulus):
        return RequestReason.CLOSE_PRIMES
    if _is_of_roca(modulus):
        return RequestReason.ROCA
    return None


def _has_close_primes(modulus: int) -> bool:
    """
    Try Fermat's way: modulus = a² - b², a from its root on.
    """
    root = math.isqrt(modulus)
    for a in range(root, root + _FERMAT_ROUNDS + 1):
        rest = a * a - modulus
        if rest >= 0 and math.isqrt(rest) ** 2 == rest:
            return True
    return False


def _is_of_roca(modulus: int) -> bool:
    return all(modulus % prime in group for prime, group in _groups())


@cache
def _primes(below: int) -> tuple[int, ...]:
    return tuple(n for n in range(2, below) if all(n % d for d in range(2, math.isqrt(n) + 1)))


@cache
def _product() -> int:
    return math.prod(_primes(_SMALL))


@cache
def _groups() -> tuple[tuple[int, frozenset[int]], ...]:
    return tuple((prime, _group(prime)) for prime in _primes(_ROCA_BELOW) if prime > 2)  # noqa: PLR2004 - the odd ones


def _group(prime: int) -> frozenset[int]:
    found, power = set[int](), 1
    while power not in found:
        found.add(power)
        power = power * _ROCA_GENERATOR % prime
    return frozenset(found)
