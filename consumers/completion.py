"""Completes renewals, and pays back what was paid for one that can no longer be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumers.tokens import job_ended
from renewal.lifecycle import payments, renewals
from renewal.outcome import Done, Outcome
from renewal.store import renewals as queries
from schema.reasons import EndReason, FeeReason
from schema.states import FeeState, OldState, PaymentState, RenewalState

if TYPE_CHECKING:
    from renewal.db.rows import Renewal
    from renewal.db.unit_of_work import UnitOfWork

SETTLED_FEES = (
    FeeState.NONE,
    FeeState.CAPTURED,
    FeeState.CONSUMED,
    FeeState.VOIDED,
    FeeState.WAIVED,
)
SETTLED_OLD = (OldState.REVOKED, OldState.KEPT, OldState.NONE)


def close(renewal: Renewal, work: UnitOfWork) -> Outcome:
    if renewal.state != RenewalState.ACTIVATED:
        return Done()
    if renewal.fee_state not in SETTLED_FEES or renewal.old_state not in SETTLED_OLD:
        return Done()  # the other half is still to come
    renewals.finish(work, renewal)
    return Done(emit=job_ended(renewal, EndReason.DONE.value))


def pay_back(certificate: int, why: FeeReason, work: UnitOfWork) -> Outcome:
    """Refund what was paid for a renewal that can no longer take place."""
    payment = queries.payment_of(work, certificate, PaymentState.PAID.value)
    if payment is not None:
        payments.ask_refund(work, payment, why)
    return Done()
