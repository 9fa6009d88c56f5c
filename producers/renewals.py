"""Facts about renewals: given up, issued but not collected, paid for in vain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal import cycle
from renewal.rules.window import Phase, phase_at
from schema.events import NotCollectedDue

if TYPE_CHECKING:
    from renewal.cycle import Policies
    from renewal.store.rows import Payment, Renewal
    from renewal.store.work import Work

#: What a certificate is that is renewed no more, whenever its window closes.
ENDED = frozenset({"superseded", "revoked"})


def given_up(work: Work, renewal: Renewal, policies: Policies) -> None:
    """
    Say that a renewal was not finished in time, and end it.
    """
    for event in cycle.abandon(work, renewal, "not finished in time", policies):
        work.emit(event)


def not_collected(work: Work, renewal: Renewal, step: int) -> None:
    """
    Say that a new certificate has waited so many days for its customer, and mark that it was said.
    """
    work.renewals.change(renewal, collected_told=step)
    work.emit(NotCollectedDue(renewal=renewal.id, customer=renewal.customer, step=step))


def paid_in_vain(work: Work, payment: Payment, policies: Policies) -> bool:
    """
    Say that what was paid goes back, if the certificate can be renewed no more.
    """
    certificate = work.certificates.get(payment.certificate)
    policy = policies.by_product.get(certificate.product)
    if certificate.state not in ENDED:
        if policy is None:  # one product without a policy does not keep the others waiting
            return False
        if phase_at(work.at, certificate.not_after, policy.window) is not Phase.CLOSED:
            return False
    for event in cycle.refund(work, payment, "no renewal is possible any more"):
        work.emit(event)
    return True
