"""Transitions of a renewal's fee, which move the renewal on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal.lifecycle import renewals
from schema.events import FeeSecured, FeeSettled
from schema.policy import FeeHow
from schema.reasons import DecisionKind, DeferralReason, EndReason, FeeReason
from schema.states import FEE, FeeState

if TYPE_CHECKING:
    from renewal.db.rows import Renewal
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies
    from schema.reasons import Reason, ReasonCode


def without_fee(work: UnitOfWork, renewal: Renewal) -> None:
    """The product has no fee: the CA can be asked at once."""
    renewals.fee_secured(work, renewal)
    work.emit(FeeSecured(renewal=renewal.id, how=FeeHow.NONE.value))


def use_entitlement(work: UnitOfWork, renewal: Renewal) -> None:
    """It was paid beforehand."""
    _decide(work, renewal, DecisionKind.FEE_ENTITLEMENT_USED)
    renewal = _change(work, renewal, FeeState.PREPAID)
    renewals.fee_secured(work, renewal)
    work.emit(FeeSecured(renewal=renewal.id, how=FeeHow.PREPAID.value))


def begin_hold(work: UnitOfWork, renewal: Renewal, account_sealed: bytes) -> Renewal:
    """The bank is about to be asked. The account is pinned: a hold ends where it was made."""
    amount = FeeReason.AMOUNT.why(amount=renewal.fee_amount)
    _decide(work, renewal, DecisionKind.FEE_HOLDING, amount)
    return _change(work, renewal, FeeState.HOLDING, fee_account_sealed=account_sealed)


def hold(work: UnitOfWork, renewal: Renewal) -> None:
    """The bank holds it: the CA can be asked."""
    renewal = _change(work, renewal, FeeState.HELD)
    renewals.fee_secured(work, renewal)
    _decide(work, renewal, DecisionKind.FEE_HELD)
    work.emit(FeeSecured(renewal=renewal.id, how=FeeHow.HOLD.value))


def hold_in_vain(work: UnitOfWork, renewal: Renewal) -> None:
    """The bank holds it, and its renewal has ended: it is to be released."""
    _change(work, renewal, FeeState.HELD)
    _decide(work, renewal, DecisionKind.FEE_HELD, DeferralReason.TO_BE_VOIDED)


def not_held(work: UnitOfWork, renewal: Renewal, why: Reason | None = None) -> None:
    """Its renewal has ended, and the bank holds nothing for it."""
    _change(work, renewal, FeeState.DECLINED)
    _decide(work, renewal, DecisionKind.FEE_NOT_HELD, why)


def decline(
    work: UnitOfWork, renewal: Renewal, why: Reason | ReasonCode, policies: Policies
) -> None:
    """The bank has said no: the renewal ends."""
    _decide(work, renewal, DecisionKind.FEE_DECLINED, why)
    renewal = _change(work, renewal, FeeState.DECLINED)
    renewals.refuse(work, renewal, EndReason.FEE_DECLINED, policies)


def capture(work: UnitOfWork, renewal: Renewal, why: Reason | None = None) -> None:
    """Charged, after delivery."""
    _settle(work, renewal, FeeState.CAPTURED, DecisionKind.FEE_CAPTURED, why)


def void(work: UnitOfWork, renewal: Renewal, why: Reason | None = None) -> None:
    """The hold is released."""
    _settle(work, renewal, FeeState.VOIDED, DecisionKind.FEE_VOIDED, why)


def consume(work: UnitOfWork, renewal: Renewal) -> None:
    """The entitlement is used up."""
    _settle(work, renewal, FeeState.CONSUMED, DecisionKind.FEE_CONSUMED, None)


def waive(work: UnitOfWork, renewal: Renewal, why: Reason) -> None:
    """Delivered, and not charged: a person has settled it so."""
    _settle(work, renewal, FeeState.WAIVED, DecisionKind.FEE_WAIVED, why)


def nothing_to_settle(work: UnitOfWork, renewal: Renewal) -> None:
    """There was no fee: that is settled."""
    work.emit(FeeSettled(renewal=renewal.id, how=FeeState.NONE.value))


def _settle(
    work: UnitOfWork, renewal: Renewal, state: FeeState, kind: DecisionKind, why: Reason | None
) -> None:
    _change(work, renewal, state)
    _decide(work, renewal, kind, why)
    work.emit(FeeSettled(renewal=renewal.id, how=state.value))


def _decide(
    work: UnitOfWork, renewal: Renewal, kind: DecisionKind, why: Reason | ReasonCode | None = None
) -> None:
    work.record_decision(renewal.certificate, kind, why, renewal=renewal.id)


def _change(work: UnitOfWork, renewal: Renewal, state: FeeState, **changes: bytes) -> Renewal:
    FEE.check(renewal.fee_state, state)
    return work.renewals.change(renewal, fee_state=state.value, **changes)
