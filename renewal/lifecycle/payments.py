"""Transitions of prepayments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal.store import renewals as queries
from schema.events import (
    FeePaid,
    FeeRefunded,
    PaymentRefused,
    PaymentRequested,
    RefundRequested,
)
from schema.reasons import DecisionKind, EndReason, FeeReason, Reason, ReasonCode
from schema.states import PAYMENT, PaymentState

if TYPE_CHECKING:
    from renewal.db.rows import Payment, Renewal
    from renewal.db.unit_of_work import UnitOfWork


def ask(work: UnitOfWork, payment: Payment) -> Payment:
    """
    Put a payment on record that the bank is to be asked for.

    Raises:
        ValueError: its state is not the first one.
    """
    if payment.state != PaymentState.ASKED:
        raise ValueError(f"a payment begins as {PaymentState.ASKED.value!r}")
    payment = work.payments.put(payment)
    _decide(work, payment, DecisionKind.FEE_PAYMENT_ASKED, _amount(payment))
    work.emit(PaymentRequested(payment=payment.id))
    return payment


def pay(work: UnitOfWork, payment: Payment) -> Payment:
    """The bank has debited it: the next renewal of its certificate may use it."""
    payment = _change(work, payment, PaymentState.PAID)
    _decide(work, payment, DecisionKind.FEE_PAID, _amount(payment))
    work.emit(FeePaid(payment=payment.id))
    return payment


def refuse(work: UnitOfWork, payment: Payment, why: Reason | ReasonCode) -> Payment:
    """It was not debited."""
    payment = _change(work, payment, PaymentState.REFUSED)
    _decide(work, payment, DecisionKind.FEE_PAYMENT_DECLINED, why)
    work.emit(PaymentRefused(payment=payment.id, why=EndReason.FEE_DECLINED.value))
    return payment


def reserve(work: UnitOfWork, payment: Payment, renewal: Renewal) -> Payment:
    """A renewal that begins is going to use it."""
    return _change(work, payment, PaymentState.RESERVED, renewal=renewal.id)


def consume(work: UnitOfWork, payment: Payment) -> Payment:
    """Its renewal has put the new certificate in force."""
    return _change(work, payment, PaymentState.CONSUMED)


def release(work: UnitOfWork, renewal: Renewal) -> None:
    """Its renewal has ended without effect: the next one may use it, or it is paid back."""
    payment = queries.payment_of(work, renewal.certificate, PaymentState.RESERVED.value)
    if payment is None or payment.renewal != renewal.id:
        return
    payment = _change(work, payment, PaymentState.PAID, renewal=None)
    if work.certificates.get(renewal.certificate).state == "revoked":
        ask_refund(work, payment, FeeReason.CERTIFICATE_REVOKED)


def ask_refund(work: UnitOfWork, payment: Payment, why: Reason | ReasonCode) -> Payment:
    """What was paid for a renewal that can no longer be is to be paid back."""
    reason = why if isinstance(why, Reason) else why.why()
    payment = _change(work, payment, PaymentState.TO_REFUND)
    _decide(work, payment, DecisionKind.FEE_TO_REFUND, reason)
    work.emit(RefundRequested(payment=payment.id, why=reason.stored()))
    return payment


def refund(work: UnitOfWork, payment: Payment) -> Payment:
    """It was paid back."""
    payment = _change(work, payment, PaymentState.REFUNDED)
    _decide(work, payment, DecisionKind.FEE_REFUNDED, _amount(payment))
    work.emit(FeeRefunded(payment=payment.id))
    return payment


def _amount(payment: Payment) -> Reason:
    return FeeReason.AMOUNT.why(amount=payment.amount)


def _decide(
    work: UnitOfWork, payment: Payment, kind: DecisionKind, why: Reason | ReasonCode
) -> None:
    work.record_decision(payment.certificate, kind, why)


def _change(
    work: UnitOfWork, payment: Payment, state: PaymentState, **changes: str | None
) -> Payment:
    PAYMENT.check(payment.state, state)
    return work.payments.change(payment, state=state.value, **changes)
