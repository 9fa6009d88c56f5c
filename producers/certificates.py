"""Events about certificates: renewal due, window left, reminder due, change requested."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from renewal.lifecycle.certificates import suspend
from renewal.rules import reminder_schedule
from schema.events import Change, ChangeRequested, ReminderDue, RenewalDue
from schema.reasons import CaReason, DecisionKind, DeferralReason
from schema.states import CertificateState

if TYPE_CHECKING:
    from renewal.db.rows import Certificate
    from renewal.db.unit_of_work import UnitOfWork
    from schema.events import RevocationReason
    from schema.policy import Policy

_ASKED = {
    Change.SUSPEND: DecisionKind.CA_SUSPEND_ASKED,
    Change.RESUME: DecisionKind.CA_RESUME_ASKED,
    Change.REVOKE: DecisionKind.CA_REVOKE_ASKED,
}


def renewal_due(work: UnitOfWork, certificate: Certificate) -> None:
    """Emit that a certificate has entered its window, and mark it as announced."""
    work.certificates.change(certificate, announced_at=work.at)
    work.emit(
        RenewalDue(
            certificate=certificate.id,
            customer=certificate.customer,
            product=certificate.product,
            not_after=certificate.not_after,
        )
    )


def reminder_due(work: UnitOfWork, certificate: Certificate, policy: Policy) -> None:
    """Emit that a reminder may be owed, and set the next check."""
    if certificate.remind_at is None:
        return
    if certificate.customer is None:  # nobody to tell: else it would stand first for ever
        work.certificates.change(certificate, remind_at=None)
        return
    work.emit(
        ReminderDue(
            certificate=certificate.id,
            customer=certificate.customer,
            planned=certificate.remind_at,
        )
    )
    following = reminder_schedule.next_moment(
        work.at, certificate.not_after, policy, certificate.told
    )
    work.certificates.change(certificate, remind_at=following)


def no_policy(work: UnitOfWork, certificate: Certificate) -> None:
    """Check the certificate again tomorrow: its product has no policy now."""
    why = DeferralReason.NO_POLICY
    work.record_decision(certificate.id, DecisionKind.REMINDER_DEFERRED, why)
    work.certificates.change(certificate, remind_at=work.at + timedelta(days=1))


def change_requested(
    work: UnitOfWork,
    certificate: Certificate,
    change: Change,
    reason: RevocationReason | None = None,
) -> None:
    """
    Emit that a person wants a certificate suspended, resumed or revoked, this for a reason.

    A suspension holds here at once, whatever its CA answers and when: what was reported lost is
    renewed no more.
    """
    number = certificate.changes + 1
    certificate = work.certificates.change(certificate, changes=number)
    why = CaReason(reason.value) if reason is not None else None
    work.record_decision(certificate.id, _ASKED[change], why)
    if change is Change.SUSPEND and certificate.state == CertificateState.ACTIVE:
        suspend(work, certificate)
    asked = ChangeRequested(certificate=certificate.id, change=change, number=number, reason=reason)
    work.emit(asked)
