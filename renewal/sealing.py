"""Seals a certificate for one branch: its subject is personal, and the log is not."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from renewal.errors import XuqiError
from renewal.secret import Secret


class NotForUsError(XuqiError):
    """
    What was sealed does not open with this branch's key.
    """


def branch_key(stations_key: Secret, branch: str) -> Secret:
    """
    The key that one branch's station holds; from it no other branch's can be told.
    """
    derived = hmac.new(stations_key.value, f"branch {branch}".encode(), hashlib.sha256)
    return Secret(derived.digest())


def sealed_for(key: Secret, certificate: bytes, renewal: str) -> str:
    """
    AES-256-GCM, bound to the renewal, in base64.
    """
    nonce = os.urandom(12)
    return base64.b64encode(
        nonce + AESGCM(key.value).encrypt(nonce, certificate, renewal.encode())
    ).decode()


def opened(key: Secret, sealed: str, renewal: str) -> bytes:
    """
    Return the certificate.

    Raises:
        NotForUsError
    """
    try:
        raw = base64.b64decode(sealed, validate=True)
        return AESGCM(key.value).decrypt(raw[:12], raw[12:], renewal.encode())
    except (InvalidTag, binascii.Error, ValueError) as error:
        why = f"the certificate of {renewal} is not sealed for this branch"
        raise NotForUsError(why) from error
