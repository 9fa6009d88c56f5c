"""Transitions of the certificate that a renewal replaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schema.events import OldCertificateSettled
from schema.reasons import CaReason, DecisionKind
from schema.states import OLD, OldState

if TYPE_CHECKING:
    from renewal.db.rows import Renewal
    from renewal.db.unit_of_work import UnitOfWork
    from schema.reasons import Reason, ReasonCode


def keep(
    work: UnitOfWork, renewal: Renewal, why: Reason | ReasonCode = CaReason.UNTIL_EXPIRY
) -> None:
    """It is kept until it expires."""
    _change(work, renewal, OldState.KEPT)
    work.record_decision(renewal.certificate, DecisionKind.CA_KEPT, why, renewal=renewal.id)
    work.emit(OldCertificateSettled(renewal=renewal.id, revoked=False))


def found_revoked(work: UnitOfWork, renewal: Renewal) -> None:
    """A person has had it revoked before its turn came."""
    _change(work, renewal, OldState.REVOKED)
    work.emit(OldCertificateSettled(renewal=renewal.id, revoked=True))


def to_revoke(work: UnitOfWork, renewal: Renewal) -> Renewal:
    """The CA is about to be asked to revoke it."""
    if renewal.old_state == OldState.TO_REVOKE:
        return renewal
    return _change(work, renewal, OldState.TO_REVOKE)


def revoked(work: UnitOfWork, renewal: Renewal, why: Reason | None = None) -> None:
    """The CA has revoked it; or, with ``why``, a person has had it revoked elsewhere."""
    _change(work, renewal, OldState.REVOKED)
    if why is not None:
        kind = DecisionKind.CA_REVOKED
        work.record_decision(renewal.certificate, kind, why, renewal=renewal.id)
    work.emit(OldCertificateSettled(renewal=renewal.id, revoked=True))


def _change(work: UnitOfWork, renewal: Renewal, state: OldState) -> Renewal:
    OLD.check(renewal.old_state, state)
    return work.renewals.change(renewal, old_state=state.value)
