"""Derives the management key of each token, so that one token's key opens no other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode

from renewal.rules.serials import token_serial

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LABEL: Final = b"xuqi token management key v1"
LABEL_PUK: Final = b"xuqi token unblocking code v1"
PUK_DIGITS: Final = 8
PUK_BYTES: Final = 16  #: so many more than eight digits need that each code is as likely


def key_of_token(master: bytes, serial: str) -> bytes:
    """
    The key of the token with that serial, as long as the master key (NIST SP 800-108r1, 4.1:
    counter mode with HMAC-SHA-256).
    """
    return _derived(master, LABEL, serial.encode(), len(master))


def puk_of_token(own_key: bytes) -> str:
    """
    The unblocking code of the token with that management key: eight digits.

    Whoever has the management key may write to the token anyhow; so the code is kept nowhere, and
    the bank works it out again for whom it releases it to.
    """
    number = int.from_bytes(_derived(own_key, LABEL_PUK, b"", PUK_BYTES), "big")
    return f"{number % 10**PUK_DIGITS:0{PUK_DIGITS}d}"


def _derived(key: bytes, label: bytes, context: bytes, length: int) -> bytes:
    derivation = KBKDFHMAC(
        algorithm=SHA256(),
        mode=Mode.CounterMode,
        length=length,
        rlen=4,
        llen=4,
        location=CounterLocation.BeforeFixed,
        label=label,
        context=context,
        fixed=None,
    )
    return derivation.derive(key)


@dataclass(frozen=True)
class WriteKeys:
    """
    What may authorize writing to a token: the common key that each has at first, or its own.

    A station without the common key has a token's own from its job: ``of_job`` gives it by the
    serial.
    """

    common: bytes | None = field(default=None, repr=False)
    of_job: Callable[[str], bytes | None] = field(default=lambda _serial: None, repr=False)

    def own(self, serial: str) -> bytes | None:
        given = self.of_job(serial)
        if given is None and self.common is not None:
            return key_of_token(self.common, token_serial(serial))
        return given

    def fitting(self, serial: str) -> Sequence[bytes]:
        """What may be tried, the common key first."""
        return [key for key in (self.common, self.own(serial)) if key is not None]
