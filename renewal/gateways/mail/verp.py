"""Signs return paths, so that a bounce is known to be of our own mail."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_PLAIN = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_VERP = re.compile(r"(?P<prefix>[^+@]+)\+(?P<token>[^@]+)-(?P<mac>[a-z2-7]{16})@(?P<domain>[^@]+)")

#: 64 octets of a local part (RFC 5321, 4.5.3.1.1), less a prefix of 7 and the mark of 18.
LONGEST_TOKEN = 39


def token_of(message_id: str) -> str:
    """
    Return a message id as it may stand in addresses: itself, or its hash if it is long or odd.
    """
    if len(message_id) <= LONGEST_TOKEN and _PLAIN.fullmatch(message_id):
        return message_id
    return hashlib.sha256(message_id.encode()).hexdigest()[:32]


def return_address(message_id: str, *, key: bytes, domain: str, prefix: str = "bounce") -> str:
    """Return the envelope sender of a message (variable envelope return path)."""
    token = token_of(message_id)
    return f"{prefix}+{token}-{_mac(key, 'bounce', token)}@{domain}"


def returned_token(address: str, *, keys: Collection[bytes]) -> str | None:
    """
    Return the token of an address that we made with one of the keys, or ``None``.

    Mail systems may have changed the case of its letters, so it is compared without.
    """
    match = _VERP.fullmatch(address.strip().strip("<>"))
    if match is None:
        match = _VERP.fullmatch(address.strip().strip("<>").lower())
    if match is None or not any(
        _same(match["mac"], _mac(key, "bounce", match["token"])) for key in keys
    ):
        return None
    return match["token"]


def _mac(key: bytes, purpose: str, token: str) -> str:
    # 80 bits: what can be guessed only by sending mail needs no more.
    digest = hmac.digest(key, f"{purpose}\0{token.lower()}".encode(), "sha256")
    return base64.b32encode(digest[:10]).decode().lower()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.lower().encode(), other.encode())
