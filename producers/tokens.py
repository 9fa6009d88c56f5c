"""What has become of a token, and what that asks of the certificates on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from producers.certificates import change_requested
from renewal.lifecycle import certificates, tokens
from schema.events import Change, RevocationReason
from schema.states import CertificateState, TokenState

if TYPE_CHECKING:
    from renewal.db.rows import Certificate, Token
    from renewal.db.unit_of_work import UnitOfWork

#: A token in these states is out of its customer's use for good.
GONE = frozenset({TokenState.LOST, TokenState.DAMAGED, TokenState.RETURNED})
#: What may still be signed with, here or where nobody looks at our books.
USABLE = frozenset({
    CertificateState.ACTIVE, CertificateState.SUSPENDED, CertificateState.SUPERSEDED,
    CertificateState.PENDING,
})  # fmt: skip


def moved(work: UnitOfWork, token: Token, to: TokenState, *, customer: int | None = None) -> Token:
    """
    Move a token on, and ask of its certificates what that means for them.

    On hold: what is active is suspended. Active again: what the hold alone has suspended is
    resumed. Lost, damaged or returned: suspended here at once, and revoked at the CA.

    Raises:
        NotNowError
    """
    was = token.state
    token, held = tokens.move(work, token, to, customer=customer)
    lifted = tokens.lift(work, token) if was == TokenState.ON_HOLD else []
    if to is TokenState.ON_HOLD:
        tokens.hold(work, token, _suspended(work, held))
    elif to in GONE:
        _revoked(work, held, RevocationReason.KEY_COMPROMISE if to is TokenState.LOST else None)
    else:
        _resumed(work, lifted)
    return token


def _suspended(work: UnitOfWork, held: list[Certificate]) -> list[Certificate]:
    active = [one for one in held if one.state == CertificateState.ACTIVE]
    for certificate in active:
        change_requested(work, certificate, Change.SUSPEND)
    return [work.certificates.get(one.id) for one in active]


def _resumed(work: UnitOfWork, lifted: list[Certificate]) -> None:
    for certificate in lifted:
        if certificate.state == CertificateState.SUSPENDED:
            change_requested(work, certificate, Change.RESUME)


def _revoked(work: UnitOfWork, held: list[Certificate], reason: RevocationReason | None) -> None:
    """Whoever has found the token renews nothing while the CA is being asked."""
    for one in held:
        if one.state not in USABLE or one.not_after <= work.at:
            continue
        is_active = one.state == CertificateState.ACTIVE
        now = certificates.suspend(work, one) if is_active else one
        change_requested(work, now, Change.REVOKE, reason)
