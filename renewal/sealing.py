"""Encrypts a certificate for one branch, because its subject is personal data."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from renewal.errors import XuqiError
from renewal.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Between the same certificate under two keys; no sign of base64.
SEPARATOR: Final = "."


class NotForUsError(XuqiError):
    """What was sealed does not open with this branch's key."""


def branch_key(stations_key: Secret, branch: str) -> Secret:
    """The key that one branch's station holds; from it no other branch's can be told."""
    derived = hmac.new(stations_key.value, f"branch {branch}".encode(), hashlib.sha256)
    return Secret(derived.digest())


def sealed_for(key: Secret, certificate: bytes, renewal: str) -> str:
    """AES-256-GCM, bound to the renewal, in base64."""
    nonce = os.urandom(12)
    return base64.b64encode(
        nonce + AESGCM(key.value).encrypt(nonce, certificate, renewal.encode())
    ).decode()


def sealed_for_branch(
    stations_keys: Iterable[Secret], branch: str, certificate: bytes, renewal: str
) -> str:
    """
    The same under every key that stations may hold: while the centre's key is replaced, some
    branches have their old file and some the new one.
    """
    return SEPARATOR.join(
        sealed_for(branch_key(key, branch), certificate, renewal) for key in stations_keys
    )


def write_key_of(renewal: str) -> str:
    """What a token's management key is bound to, so that it is no certificate of the renewal."""
    return f"{renewal}/write-key"


def opened(key: Secret, sealed: str, renewal: str) -> bytes:
    """
    Return what was sealed: a certificate, or a token's key.

    Raises:
        NotForUsError
    """
    for one in sealed.split(SEPARATOR):
        with suppress(InvalidTag, binascii.Error, ValueError):
            raw = base64.b64decode(one, validate=True)
            return AESGCM(key.value).decrypt(raw[:12], raw[12:], renewal.encode())
    raise NotForUsError(f"what was sealed for {renewal} is not for this branch")
