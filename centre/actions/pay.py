"""Asks for the fee of a renewal to come to be debited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from centre.actions.replies import CodeNotSent
from renewal.db.retry import retry_on_conflict
from renewal.db.rows import Payment
from renewal.lifecycle import payments, requests
from renewal.rules import fee
from renewal.rules.window import closes_at
from renewal.store import renewals as queries
from schema.policy import FeeHow
from schema.reasons import RefusalReason
from schema.states import CertificateState, PaymentState

if TYPE_CHECKING:
    from datetime import datetime

    from renewal.db.engine import Store
    from renewal.db.rows import Certificate
    from renewal.rules.policies import Policies

#: Payments that stand: nobody pays twice for one renewal.
STANDING = (PaymentState.ASKED.value, PaymentState.PAID.value, PaymentState.RESERVED.value)


@retry_on_conflict
def pay(store: Store, policies: Policies, certificate: int) -> Payment | CodeNotSent:
    """Ask for the fee of a renewal to come to be debited; it is paid once."""
    with store.transaction() as work:
        row = work.certificates.get(certificate)
        policy = policies.of(row.product)
        why: RefusalReason | None = None
        if policy.fee.how is not FeeHow.PREPAID:
            why = RefusalReason.NOT_PREPAID
        elif queries.payment_of(work, certificate, *STANDING) is not None:
            why = RefusalReason.ALREADY_PAID
        elif row.state != CertificateState.ACTIVE or _is_over(row, work.at, policies):
            why = RefusalReason.WINDOW_OVER
        if why is not None or row.customer is None:
            return CodeNotSent(why=(why or RefusalReason.NO_PAYER).why())
        return payments.ask(
            work,
            Payment(
                id=f"P{row.id:08d}-{queries.payments_of(work, row.id) + 1:02d}",
                customer=row.customer,
                certificate=row.id,
                amount=fee.amount_at(work.at, policy),
                pays_for=requests.next_id(work, row),
                state=PaymentState.ASKED.value,
                renewal=None,
                asked_at=work.at,
                version=1,
            ),
        )


def _is_over(row: Certificate, now: datetime, policies: Policies) -> bool:
    return now > closes_at(row.not_after, policies.of(row.product).window)
