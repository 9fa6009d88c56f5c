"""Settles by hand what the bank or the CA will never settle: each step with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal.errors import NotNowError
from renewal.ledger import fee_postings
from renewal.lifecycle import certificates, fees, old_certificates, payments, renewals
from renewal.store import renewals as queries
from schema.reasons import CaReason, EndReason, RefusalReason
from schema.states import CERTIFICATE, FEE, CertificateState, FeeState, OldState, PaymentState

if TYPE_CHECKING:
    from renewal.db.rows import Renewal
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies
    from schema.reasons import Reason

#: What a person may say of a fee, by its state, while the new certificate is in force or not.
_IN_FORCE = {
    FeeState.HELD: (FeeState.CAPTURED, FeeState.WAIVED),
    FeeState.PREPAID: (FeeState.CONSUMED, FeeState.WAIVED),
}
_NOT_IN_FORCE = {
    FeeState.QUOTED: (FeeState.DECLINED,),
    FeeState.HOLDING: (FeeState.DECLINED, FeeState.HELD),
    FeeState.HELD: (FeeState.VOIDED,),
}


def may_become(renewal: Renewal) -> tuple[FeeState, ...]:
    """What a person may say of this renewal's fee."""
    table = _IN_FORCE if renewal.state in renewals.IN_FORCE else _NOT_IN_FORCE
    return table.get(FeeState(renewal.fee_state), ())


def settle_fee(
    work: UnitOfWork, renewal: Renewal, to: FeeState, note: str, policies: Policies
) -> None:
    """
    Say what has become of a renewal's fee, as a person has found it out at the bank.

    Raises:
        NotNowError: its fee cannot become that.
    """
    if to not in may_become(renewal):
        raise NotNowError(
            RefusalReason.FEE_CANNOT_BECOME.why(
                fee_state=renewal.fee_state,
                allowed=", ".join(state.value for state in may_become(renewal)) or "-",
            ),
            renewal.id,
        )
    FEE.check(renewal.fee_state, to)
    why = EndReason.SETTLED_BY_STAFF.why(note=note)
    match to:
        case FeeState.DECLINED:
            _not_held(work, renewal, why, policies)
        case FeeState.HELD:
            _held(work, renewal)
        case FeeState.CAPTURED:
            fee_postings.fee_captured(work, renewal.id, hold=_hold(renewal)).must_hold()
            fees.capture(work, renewal, why)
        case FeeState.VOIDED:
            fee_postings.fee_voided(work, renewal.id, hold=_hold(renewal)).must_hold()
            fees.void(work, renewal, why)
        case FeeState.CONSUMED:
            _consumed(work, renewal)
        case _:
            _waived(work, renewal, why)


def settle_old(work: UnitOfWork, renewal: Renewal, to: OldState, note: str) -> None:
    """
    Say what has become of the certificate that a renewal replaces.

    Raises:
        NotNowError: the new one is not in force.
    """
    if renewal.state not in renewals.IN_FORCE or renewals.is_application(renewal):
        reason = RefusalReason.WRONG_STATE.why(renewal_state=renewal.state)
        raise NotNowError(reason, renewal.id)
    why = CaReason.DONE_ELSEWHERE.why(note=note)
    if to is OldState.KEPT:
        old_certificates.keep(work, renewal, why)
        return
    old = work.certificates.get(renewal.certificate)
    if CERTIFICATE.allows(old.state, CertificateState.REVOKED):
        certificates.revoke(work, old)
    old_certificates.revoked(work, renewal, why)


def _not_held(work: UnitOfWork, renewal: Renewal, why: Reason, policies: Policies) -> None:
    if renewal.state in renewals.WITHOUT_EFFECT:
        fees.not_held(work, renewal, why)
    else:
        fees.decline(work, renewal, why, policies)


def _held(work: UnitOfWork, renewal: Renewal) -> None:
    amount, hold = renewal.fee_amount, _hold(renewal)
    fee_postings.fee_held(work, renewal.id, amount, hold).must_hold()
    if renewal.state in renewals.WITHOUT_EFFECT:
        fees.hold_in_vain(work, renewal)
    else:
        fees.hold(work, renewal)


def _consumed(work: UnitOfWork, renewal: Renewal) -> None:
    reserved = PaymentState.RESERVED.value
    payment = queries.payment_of(work, renewal.certificate, reserved)
    if payment is None or payment.renewal != renewal.id:
        raise NotNowError(RefusalReason.NO_ENTITLEMENT, renewal.id)
    fee_postings.entitlement_consumed(work, renewal.id, payment=payment.id).must_hold()
    payments.consume(work, payment)
    fees.consume(work, renewal)


def _waived(work: UnitOfWork, renewal: Renewal, why: Reason) -> None:
    if renewal.fee_state == FeeState.HELD:
        fee_postings.fee_voided(work, renewal.id, hold=_hold(renewal)).must_hold()
    fees.waive(work, renewal, why)


def _hold(renewal: Renewal) -> str:
    return f"{renewal.id}/hold"
