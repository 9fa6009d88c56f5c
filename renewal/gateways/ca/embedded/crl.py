"""Builds certificate revocation lists, version 2 (RFC 5280, 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from renewal.gateways.ca.embedded import der

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from renewal.gateways.ca.embedded.authority import Authority

#: CRLReason by name (RFC 5280, 5.3.1).
REASONS: Final = {
    "unspecified": 0,
    "keyCompromise": 1,
    "affiliationChanged": 3,
    "superseded": 4,
    "cessationOfOperation": 5,
    "certificateHold": 6,
    "privilegeWithdrawn": 9,
}
_VERSION_2: Final = der.integer(1)


def entry(serial: int, at: datetime, reason: str) -> bytes:
    """
    Return one entry, DER.

    It is made once, when the state changes: a list of 100,000 is then a join.
    """
    if not REASONS[reason]:  # RFC 5280, 5.3.1: unspecified is said by saying nothing
        return der.sequence(der.integer(serial), der.time(at))
    why = der.extension("2.5.29.21", der.enumerated(REASONS[reason]))
    return der.sequence(der.integer(serial), der.time(at), der.sequence(why))


def build(
    authority: Authority,
    entries: Sequence[bytes],
    *,
    number: int,
    this_update: datetime,
    next_update: datetime,
) -> bytes:
    """
    Return the signed CRL, DER.

    An entry stays when its certificate has expired: whoever checks an old signature still
    finds it there.
    """
    extensions = der.sequence(
        authority.issuer.authority_key_identifier,
        der.extension("2.5.29.20", der.integer(number)),
    )
    to_be_signed = der.sequence(
        _VERSION_2,
        authority.issuer.algorithm,
        authority.issuer.name,
        der.time(this_update),
        der.time(next_update),
        # An empty list is left out, never written as empty (RFC 5280, 5.1.2.6).
        der.sequence(*entries) if entries else b"",
        der.explicit(0, extensions),
    )
    return authority.sign(to_be_signed)
