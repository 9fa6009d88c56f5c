"""Hashes and verifies passwords, for the accounts of every face."""

from __future__ import annotations

import unicodedata
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError


@cache
def hasher() -> PasswordHasher:
    return PasswordHasher()  # argon2id, RFC 9106's second recommended option


@cache
def _hash_of_nobody() -> str:
    return hasher().hash("nobody has this password")


def normal(password: str) -> str:
    return unicodedata.normalize("NFKC", password)  # NIST SP 800-63B-4, 3.1.1.2


def hash_of(password: str) -> str:
    return hasher().hash(normal(password))


def verified(hashed: str | None, password: str) -> bool:
    """
    Whether this is the password. ``None``, for an unknown account, is never right and takes as
    long as a known one.
    """
    try:
        hasher().verify(hashed or _hash_of_nobody(), normal(password))
    except (VerificationError, InvalidHashError):
        return False
    return hashed is not None
