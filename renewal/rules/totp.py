"""Computes time-based one-time passwords (RFC 6238), as authenticator apps show them."""

from __future__ import annotations

import base64
import hmac
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

STEP: Final = 30  #: seconds
DIGITS: Final = 6
#: Steps before and after ours that are taken, for a phone whose clock is wrong (RFC 6238, 5.2).
DRIFT: Final = 1
SECRET_BYTES: Final = 20  #: RFC 4226, 4, requirement 6


def step_at(moment: datetime) -> int:
    return int(moment.timestamp()) // STEP


def code_of(secret: bytes, step: int, digits: int = DIGITS) -> str:
    """The code of one step: RFC 4226, 5.3, with HMAC-SHA-1, the one that every app knows."""
    digest = hmac.digest(secret, struct.pack(">Q", step), "sha1")
    offset = digest[-1] & 0x0F
    (number,) = struct.unpack(">I", digest[offset : offset + 4])
    return str((number & 0x7FFFFFFF) % 10**digits).zfill(digits)


def step_of(secret: bytes, code: str, now: datetime, after: int) -> int | None:
    """
    The step whose code this is, among those of now; ``None``: of none.

    ``after``: the last one that was used. A code counts once, and none before it counts any more.
    """
    here = step_at(now)
    found = None
    for step in range(here - DRIFT, here + DRIFT + 1):
        same = hmac.compare_digest(code_of(secret, step).encode(), code.encode())
        if same and step > after:
            found = step
    return found


def as_base32(secret: bytes) -> str:
    return base64.b32encode(secret).decode()
