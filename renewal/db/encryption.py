"""Encrypts personal data in its column and row, with a keyed hash for look-up."""

from __future__ import annotations

import hashlib
import hmac
import os
import threading
import time
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from renewal.errors import XuqiError
from renewal.keys import BEFORE_AUDIT_KEY, READ_ANEW_AFTER, derived

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from renewal.keys import Keys
    from renewal.secret import Secret

#: The bit of the first byte that says that the row is authenticated, too.
ROW_BOUND: Final = 0x80
#: Values of an installation of 0.1 are bound to their column alone, and have this key.
FIRST_KEY: Final = 1

Row = int | str


class SealBrokenError(XuqiError):
    """A sealed value cannot be opened: wrong key, column or row, or modified bytes."""


class FieldCipher:
    """
    AES-256-GCM (NIST SP 800-38D) with random 96-bit nonces; column and row are authenticated.

    A sealed value begins with one byte, the number of its key, so that keys can be rotated: the
    highest number seals, all of them open. A value of an older version names no row; it opens with
    the first key alone, so that none can be brought back once that key has been replaced.
    """

    def __init__(
        self,
        keys: Mapping[int, Secret] | Callable[[], Mapping[int, Secret]],
        *,
        lookup: Callable[[], bytes] | None = None,
        audit: Callable[[], Mapping[int, bytes]] | None = None,
    ) -> None:
        self._read = keys if callable(keys) else lambda: keys
        self._lookup = lookup or self._first("look-up")
        self._audit = audit or (lambda: {BEFORE_AUDIT_KEY: self._first("audit")()})
        self._ciphers: dict[int, AESGCM] = {}
        self._hash_key: bytes | None = None
        self._audit_keys: Mapping[int, bytes] = {}
        self._read_at = 0.0
        self._lock = threading.Lock()

    def _first(self, purpose: str) -> Callable[[], bytes]:
        def of_first() -> bytes:
            ring = self._read()
            return derived(ring[min(ring)], purpose)

        return of_first

    @property
    def newest(self) -> int:
        """The number of the key that seals now."""
        return max(self._known())

    def read_anew(self) -> None:
        """Seal with the newest key from now on, as the files are."""
        self._ciphers = {}

    def _known(self, *, wanted: int | None = None) -> Mapping[int, AESGCM]:
        age = time.monotonic() - self._read_at
        if not self._ciphers or age > READ_ANEW_AFTER or (wanted not in self._ciphers and wanted):
            with self._lock:
                ring = self._read()
                self._ciphers = {one: AESGCM(derived(key, "seal")) for one, key in ring.items()}
                self._read_at = time.monotonic()
        return self._ciphers

    def seal(self, value: str | bytes, column: str, row: Row | None = None) -> bytes:
        """Encrypt a value for one column and, where it has one, one row."""
        plain = value.encode() if isinstance(value, str) else value
        ciphers, nonce = self._known(), os.urandom(12)
        number = max(ciphers)
        sealed = ciphers[number].encrypt(nonce, plain, _bound_to(column, row))
        return bytes([number | (ROW_BOUND if row is not None else 0)]) + nonce + sealed

    def open(self, sealed: bytes, column: str, row: Row | None = None) -> bytes:
        """
        Decrypt a sealed value.

        Raises:
            SealBrokenError
        """
        if not sealed:
            raise SealBrokenError(f"{column}: nothing is sealed there")
        number, names_row = sealed[0] & ~ROW_BOUND, bool(sealed[0] & ROW_BOUND)
        cipher = self._known(wanted=number).get(number)
        if cipher is None:
            raise SealBrokenError(f"{column}: sealed with a key that is not among the settings")
        if row is not None and not names_row and number != FIRST_KEY:
            raise SealBrokenError(f"{column}: the value is bound to no row")
        try:
            bound = _bound_to(column, row if names_row else None)
            return cipher.decrypt(sealed[1:13], sealed[13:], bound)
        except InvalidTag as error:
            raise SealBrokenError(f"{column}: does not open with its key in this row") from error

    def open_text(self, sealed: bytes, column: str, row: Row | None = None) -> str:
        return self.open(sealed, column, row).decode()

    def hash(self, value: str, column: str) -> bytes:
        """The keyed hash for look-up of a value (HMAC-SHA256)."""
        if self._hash_key is None:
            self._hash_key = self._lookup()
        return hmac.new(self._hash_key, f"{column}\0{value}".encode(), hashlib.sha256).digest()

    def audit_keys(self, wanted: int | None = None) -> Mapping[int, bytes]:
        """
        What chains the audit trail, by number: whoever has the database alone cannot chain it anew.
        """
        if not self._audit_keys or (wanted is not None and wanted not in self._audit_keys):
            self._audit_keys = self._audit()
        return self._audit_keys


def _bound_to(column: str, row: Row | None) -> bytes:
    return column.encode() if row is None else f"{column}\0{row}".encode()


def cipher_of(keys: Keys) -> FieldCipher:
    """The cipher of an installation: no key is read before it is needed."""
    return FieldCipher(
        lambda: keys.ring("columns", anew=True), lookup=lambda: keys.lookup, audit=keys.audit
    )


#: From so many random bytes the digits of one code are derived, and of no other.
SECRET_BYTES = 32


def code_secrets(keys: Mapping[int, Secret]) -> FieldCipher:
    """
    Seals the secret of each code until it is sent: with a key that only who makes and who sends
    codes has.
    """
    return FieldCipher(keys)


def secret_of(challenge: str) -> str:
    """
    What the secret of a challenge is bound to: moved to another one, it does not open.
    """
    return f"challenges.secret:{challenge}"
