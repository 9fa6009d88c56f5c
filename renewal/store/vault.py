"""Personal data under lock, with a keyed hash beside it for look-up."""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from renewal.errors import XuqiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from renewal.secret import Secret


class SealBrokenError(XuqiError):
    """
    A sealed value does not open: another key, another column, or changed bytes.
    """


def _derived(secret: Secret, purpose: str) -> bytes:
    return hmac.new(secret.value, purpose.encode(), hashlib.sha256).digest()


class Vault:
    """
    AES-256-GCM (NIST SP 800-38D), random 96-bit nonces; the column's name is bound to the value.

    A sealed value begins with one byte, the key's number, so that keys can be changed:
    the highest number seals, all of them open.
    """

    def __init__(self, keys: Mapping[int, Secret]) -> None:
        self._sealing = max(keys)
        self._ciphers = {number: AESGCM(_derived(key, "seal")) for number, key in keys.items()}
        # The hash key never changes, or nobody could be looked up any more.
        self._hash_key = _derived(keys[min(keys)], "look-up")

    def seal(self, value: str | bytes, column: str) -> bytes:
        plain = value.encode() if isinstance(value, str) else value
        nonce = os.urandom(12)
        sealed = self._ciphers[self._sealing].encrypt(nonce, plain, column.encode())
        return bytes([self._sealing]) + nonce + sealed

    def open(self, sealed: bytes, column: str) -> bytes:
        """
        Return what was sealed.

        Raises:
            SealBrokenError
        """
        cipher = self._ciphers.get(sealed[0]) if sealed else None
        if cipher is None:
            raise SealBrokenError(f"{column}: sealed with a key that is not among the settings")
        try:
            return cipher.decrypt(sealed[1:13], sealed[13:], column.encode())
        except InvalidTag as error:
            raise SealBrokenError(f"{column}: does not open with its key") from error

    def open_text(self, sealed: bytes, column: str) -> str:
        return self.open(sealed, column).decode()

    def hash(self, value: str, column: str) -> bytes:
        """
        The keyed hash by which a value is looked up (HMAC-SHA256).
        """
        return hmac.new(self._hash_key, f"{column}\0{value}".encode(), hashlib.sha256).digest()
