"""Events about renewals: abandoned, not collected, paid for in vain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal.lifecycle import payments, renewals
from renewal.rules.window import Phase, phase_at
from schema.events import NotCollectedDue, TokenJobExpired
from schema.reasons import EndReason, FeeReason
from schema.states import CertificateState

if TYPE_CHECKING:
    from renewal.db.rows import Payment, Renewal
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies

#: What a certificate is that is renewed no more, whenever its window closes.
ENDED = frozenset({CertificateState.SUPERSEDED, CertificateState.REVOKED})


def given_up(work: UnitOfWork, renewal: Renewal, policies: Policies) -> None:
    """End a renewal that was not finished in time; of one that waited at a branch it is told."""
    renewals.abandon(work, renewal, EndReason.NOT_FINISHED, policies)
    if renewal.branch is not None:
        work.emit(TokenJobExpired(renewal=renewal.id, customer=renewal.customer))


def not_collected(work: UnitOfWork, renewal: Renewal, step: int) -> None:
    """Emit that a new certificate has waited so many days for its customer, and mark it."""
    work.renewals.change(renewal, collected_told=step)
    work.emit(NotCollectedDue(renewal=renewal.id, customer=renewal.customer, step=step))


def paid_in_vain(work: UnitOfWork, payment: Payment, policies: Policies) -> bool:
    """Have a payment refunded if its certificate can no longer be renewed."""
    certificate = work.certificates.get(payment.certificate)
    policy = policies.by_product.get(certificate.product)
    if certificate.state not in ENDED:
        if policy is None:  # one product without a policy does not keep the others waiting
            return False
        if phase_at(work.at, certificate.not_after, policy.window) is not Phase.CLOSED:
            return False
    payments.ask_refund(work, payment, FeeReason.NOT_RENEWED)
    return True
