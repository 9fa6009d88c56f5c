"""Holds, captures, voids, debits and refunds fees, each once, in the ledger and at the bank."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from renewal.errors import GatewayRefusedError, GatewayUnavailableError, GatewayUnsureError
from renewal.gateways.answers import Meaning
from renewal.gateways.bank.answers import meaning_of
from renewal.gateways.bank.port import Booking, BookingStatus, CoreBanking, Operation
from renewal.ledger import fee_postings
from renewal.lifecycle import fees
from renewal.lifecycle import payments as payment_states
from renewal.lifecycle import renewals as renewal_states
from renewal.lifecycle.certificates import schedule_reminder
from renewal.outcome import Done, IfInterrupted, Outcome, Reject, Retry, not_for
from renewal.store import renewals as queries
from schema.events import (
    CertificateActivated,
    Event,
    PaymentRequested,
    RefundRequested,
    RenewalAbandoned,
    RenewalConfirmed,
    RenewalRefused,
    Topic,
)
from schema.reasons import DeferralReason, FeeReason
from schema.states import CertificateState, FeeState, PaymentState, RenewalState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consumers.registry import Installation
    from renewal.db.rows import Payment, Renewal
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies
    from schema.reasons import Reason

#: States of a fee in which the books know of a hold, or are about to.
HOLDS = (FeeState.QUOTED, FeeState.HOLDING, FeeState.HELD)
#: Bookings about the fee of a renewal; the others are about a payment beforehand.
OF_RENEWALS = (Operation.HOLD, Operation.CAPTURE, Operation.VOID)
#: States of a certificate in which a renewal of it can still be paid for.
RENEWABLE = (CertificateState.ACTIVE, CertificateState.SUSPENDED)


@dataclass(frozen=True)
class BookFee:
    booking: Booking
    inquire_first: bool
    inquire_only: bool = False  #: see what has become of it, and book nothing


@dataclass(frozen=True)
class BookingAnswer:
    """The bank's answer; ``refused`` has the reason, or is empty."""

    refused: str = ""
    unknown: bool = False  #: the bank never saw it, and it was not sent again
    ours: bool = False  #: it was refused for what we have sent, not for the customer's account


@dataclass(kw_only=True)
class Billing:
    group: ClassVar[str] = "billing"
    topics: ClassVar[tuple[str, ...]] = (Topic.RENEWALS.value, Topic.PAYMENTS.value)
    kinds: ClassVar[tuple[type[Event], ...]] = (
        RenewalConfirmed,
        CertificateActivated,
        RenewalRefused,
        RenewalAbandoned,
        PaymentRequested,
        RefundRequested,
    )
    if_interrupted: ClassVar[IfInterrupted] = IfInterrupted.ASK

    bank: CoreBanking
    policies: Policies
    _entitled: set[str] = field(init=False, default_factory=set)  # renewals that were paid before

    @classmethod
    def of(cls, it: Installation) -> Billing:
        return cls(bank=it.gateways.bank, policies=it.policies)

    def preload(self, events: Sequence[Event], work: UnitOfWork) -> None:
        keys = [event.renewal for event in events if hasattr(event, "renewal")]
        work.renewals.load(keys)
        known = [renewal for renewal in map(work.renewals.find, keys) if renewal]
        work.enrolments.load(
            (renewal.customer, renewal.product)
            for renewal in known
            if renewal.fee_state in HOLDS and renewal.fee_account_sealed is None
        )
        confirmed = [one for one in known if one.state == RenewalState.CONFIRMED]
        work.certificates.load(one.certificate for one in confirmed)
        self._entitled = queries.entitled(work, [one.id for one in confirmed])
        payments = [event.payment for event in events if hasattr(event, "payment")]
        work.payments.load(payments)
        asked = [payment for payment in map(work.payments.find, payments) if payment]
        work.certificates.load(payment.certificate for payment in asked)
        holds = [_hold(renewal) for renewal in known if renewal.fee_state in HOLDS]
        if holds or payments:
            fee_postings.preload(work, holds=holds, payments=payments)

    # --- prepare --------------------------------------------------------------------------------

    def prepare(
        self, event: Event, work: UnitOfWork, *, outcome_unknown: bool
    ) -> BookFee | Outcome:
        if isinstance(event, PaymentRequested | RefundRequested):
            return self._payment(event, work.payments.get(event.payment), work, ask=outcome_unknown)
        if not isinstance(
            event, RenewalConfirmed | CertificateActivated | RenewalRefused | RenewalAbandoned
        ):
            return not_for(self.group, event)
        renewal = work.renewals.get(event.renewal)
        if isinstance(event, RenewalConfirmed):
            return self._secure(renewal, work, ask=outcome_unknown)
        if isinstance(event, CertificateActivated):
            return self._earn(renewal, work, ask=outcome_unknown)
        return self._give_back(renewal, work, ask=outcome_unknown)

    def _secure(self, renewal: Renewal, work: UnitOfWork, *, ask: bool) -> BookFee | Outcome:
        if renewal.state != RenewalState.CONFIRMED:
            return self._found_again(renewal, work) if ask else Done()
        stopped = renewal_states.why_stopped(work, renewal)
        if stopped is not None:  # if a hold was begun, the refusal finds out and voids it
            renewal_states.refuse(work, renewal, stopped, self.policies)
            return Done()
        # As it was when it was asked for: what a policy says since then is for the next one.
        if renewal.id in self._entitled:
            fees.use_entitlement(work, renewal)
            return Done()
        if renewal.fee_state == FeeState.NONE:
            fees.without_fee(work, renewal)
            return Done()
        return self._hold(renewal, work, ask=ask)

    def _hold(self, renewal: Renewal, work: UnitOfWork, *, ask: bool) -> BookFee | Outcome:
        account = self._account(renewal, work)
        if account is None:
            fees.decline(work, renewal, FeeReason.NO_ACCOUNT, self.policies)
            return Done()
        if renewal.fee_state != FeeState.HOLDING:
            pinned = work.cipher.seal(account, "renewals.fee_account", renewal.id)
            renewal = fees.begin_hold(work, renewal, pinned)
        return BookFee(_to_hold(renewal, account), ask)

    def _found_again(self, renewal: Renewal, work: UnitOfWork) -> BookFee | Outcome:
        """
        The renewal ended while it was unknown whether its fee was held: inquire, and hold nothing.
        """
        account = self._account(renewal, work)
        if renewal.fee_state != FeeState.HOLDING or account is None:
            return Done()
        return BookFee(_to_hold(renewal, account), inquire_first=True, inquire_only=True)

    def _earn(self, renewal: Renewal, work: UnitOfWork, *, ask: bool) -> BookFee | Outcome:
        """The certificate is delivered: capture the fee or consume the entitlement."""
        if renewal.fee_state == FeeState.HELD:
            return self._ends_hold(renewal, Operation.CAPTURE, work, ask=ask)
        if renewal.fee_state == FeeState.PREPAID:
            payment = queries.payment_of(work, renewal.certificate, PaymentState.RESERVED.value)
            if payment is None or payment.renewal != renewal.id:
                return Reject(FeeReason.NO_ENTITLEMENT.why())
            fee_postings.entitlement_consumed(work, renewal.id, payment=payment.id).must_hold()
            payment_states.consume(work, payment)
            fees.consume(work, renewal)
        elif renewal.fee_state == FeeState.NONE:
            fees.nothing_to_settle(work, renewal)
        return Done()

    def _give_back(self, renewal: Renewal, work: UnitOfWork, *, ask: bool) -> BookFee | Outcome:
        if renewal.fee_state == FeeState.HELD:
            return self._ends_hold(renewal, Operation.VOID, work, ask=ask)
        return self._found_again(renewal, work)

    def _ends_hold(
        self, renewal: Renewal, op: Operation, work: UnitOfWork, *, ask: bool
    ) -> BookFee | Outcome:
        account = self._account(renewal, work)
        if account is None:
            return Reject(FeeReason.ACCOUNT_GONE.why())
        hold = _hold(renewal)
        return BookFee(
            Booking(
                id=f"{renewal.id}/{op.value}",
                op=op,
                account=account,
                amount=renewal.fee_amount,
                ref=renewal.id,
                of=hold,
            ),
            ask,
        )

    def _payment(
        self,
        event: PaymentRequested | RefundRequested,
        payment: Payment,
        work: UnitOfWork,
        *,
        ask: bool,
    ) -> BookFee | Outcome:
        refund = isinstance(event, RefundRequested)
        if payment.state != (PaymentState.TO_REFUND if refund else PaymentState.ASKED):
            return Done()
        certificate = work.certificates.get(payment.certificate)
        account = self._account_paid_from(payment, certificate.product, work)
        if refund and account is None:
            return Reject(FeeReason.NO_ACCOUNT.why())
        if not refund and not ask and certificate.state not in RENEWABLE:
            why = FeeReason.CERTIFICATE_STATE.why(certificate_state=certificate.state)
            return self._not_paid(payment, why, work)
        if account is None and not ask:
            return self._not_paid(payment, FeeReason.NO_ACCOUNT.why(), work)
        if refund:
            fee_postings.refund_owed(work, payment.id).must_hold()  # no renewal may use it any more
        elif account is not None and payment.account_sealed is None and not ask:
            # The account is pinned: what is paid back goes where it came from.
            pinned = work.cipher.seal(account, "payments.account", payment.id)
            work.payments.change(payment, account_sealed=pinned)
        debit = f"{payment.id}/debit"
        return BookFee(
            Booking(
                id=f"{payment.id}/refund" if refund else debit,
                op=Operation.REFUND if refund else Operation.DEBIT,
                account=account or "",
                amount=payment.amount,
                ref=payment.pays_for,
                of=debit if refund else None,
            ),
            ask,
            inquire_only=account is None,
        )

    def _not_paid(self, payment: Payment, why: Reason, work: UnitOfWork) -> Outcome:
        payment_states.refuse(work, payment, why)
        certificate = work.certificates.get(payment.certificate)
        # Nothing was said while the payment was asked for.
        if certificate.state == CertificateState.ACTIVE:
            schedule_reminder(work, certificate, self.policies)
        return Done()

    def _account_paid_from(self, payment: Payment, product: str, work: UnitOfWork) -> str | None:
        if payment.account_sealed is not None:
            return work.cipher.open_text(payment.account_sealed, "payments.account", payment.id)
        return self._account_of(payment.customer, product, work)

    def _account(self, renewal: Renewal, work: UnitOfWork) -> str | None:
        if renewal.fee_account_sealed is not None:
            return work.cipher.open_text(
                renewal.fee_account_sealed, "renewals.fee_account", renewal.id
            )
        return self._account_of(renewal.customer, renewal.product, work)

    def _account_of(self, customer: int, product: str, work: UnitOfWork) -> str | None:
        enrolment = work.enrolments.find((customer, product))
        if enrolment is None or enrolment.account_sealed is None:
            return None
        return work.cipher.open_text(
            enrolment.account_sealed, "enrolments.account", enrolment.sealed_row
        )

    # --- carry out ------------------------------------------------------------------------------

    def carry_out(self, order: BookFee) -> BookingAnswer:
        """
        Inquire first where an earlier answer was lost; a booking's id makes the bank do it once.
        """
        if order.inquire_first:
            found = self._inquired(order.booking)
            if found is BookingStatus.DONE:
                return BookingAnswer()
            if found is BookingStatus.REFUSED:
                return BookingAnswer(refused="the bank has declined it")
        if order.inquire_only:
            return BookingAnswer(unknown=True)
        try:
            self.bank.book(order.booking)
        except GatewayRefusedError as error:
            return BookingAnswer(
                refused=str(error), ours=meaning_of(error.code) is not Meaning.REFUSED
            )
        except GatewayUnsureError:
            return self._found_out(order.booking)
        return BookingAnswer()

    def _found_out(self, booking: Booking) -> BookingAnswer:
        found = self._inquired(booking)
        if found is BookingStatus.UNKNOWN:
            raise GatewayUnsureError("the bank does not know the booking yet")
        return BookingAnswer(
            refused="the bank has declined it" if found is BookingStatus.REFUSED else ""
        )

    def _inquired(self, booking: Booking) -> BookingStatus:
        try:
            return self.bank.inquire(booking.id)
        except (GatewayUnavailableError, GatewayRefusedError) as error:
            # "Nothing happened" is true of the inquiry only.
            raise GatewayUnsureError("the bank cannot say what became of it") from error

    # --- conclude -------------------------------------------------------------------------------

    def preload_orders(self, orders: Sequence[BookFee], work: UnitOfWork) -> None:
        of_renewals = [one.booking for one in orders if one.booking.op in OF_RENEWALS]
        of_payments = [one.booking for one in orders if one.booking.op not in OF_RENEWALS]
        payments = [_payment(booking) for booking in of_payments]
        keys = [booking.ref for booking in of_renewals]
        work.renewals.load(keys)
        declinable = [booking.ref for booking in of_renewals if booking.op is Operation.HOLD]
        work.certificates.load(work.renewals.get(key).certificate for key in declinable)
        work.payments.load(payments)
        holds = [booking.of or booking.id for booking in of_renewals]
        fee_postings.preload(work, holds=holds, payments=payments)

    def conclude(self, order: BookFee, answer: BookingAnswer, work: UnitOfWork) -> Outcome:
        booking = order.booking
        if booking.op in {Operation.DEBIT, Operation.REFUND}:
            return self._payment_booked(booking, answer, work)
        renewal = work.renewals.get(booking.ref)
        if order.inquire_only or (
            booking.op is Operation.HOLD and renewal.state != RenewalState.CONFIRMED
        ):
            return self._held_in_vain(renewal, booking, answer, work)
        if booking.op is Operation.HOLD:
            return self._held(renewal, booking, answer, work)
        if answer.refused:
            why = FeeReason.HOLD_NOT_ENDED
            return Reject(why.why(operation=booking.op.value, detail=answer.refused))
        hold = booking.of or ""
        if booking.op is Operation.CAPTURE:
            fee_postings.fee_captured(work, renewal.id, hold=hold).must_hold()
            fees.capture(work, renewal)
        else:
            fee_postings.fee_voided(work, renewal.id, hold=hold).must_hold()
            fees.void(work, renewal)
        return Done()

    def _held(
        self, renewal: Renewal, booking: Booking, answer: BookingAnswer, work: UnitOfWork
    ) -> Outcome:
        if answer.refused and answer.ours:
            return Reject(FeeReason.BOOKING_FAULTY.why(detail=answer.refused))
        if answer.refused:
            why = FeeReason.BANK_DECLINED.why(detail=answer.refused)
            fees.decline(work, renewal, why, self.policies)
        else:
            fee_postings.fee_held(work, renewal.id, booking.amount, booking.id).must_hold()
            fees.hold(work, renewal)
        return Done()

    def _held_in_vain(
        self, renewal: Renewal, booking: Booking, answer: BookingAnswer, work: UnitOfWork
    ) -> Outcome:
        """A hold for a renewal that has ended is posted to the ledger and then voided."""
        if renewal.fee_state != FeeState.HOLDING:
            return Done()
        if answer.refused or answer.unknown:
            fees.not_held(work, renewal)
            return Done()
        fee_postings.fee_held(work, renewal.id, booking.amount, booking.id).must_hold()
        fees.hold_in_vain(work, renewal)
        return Retry(timedelta(0), DeferralReason.TO_BE_VOIDED.why(), spends_a_try=False)

    def _payment_booked(self, booking: Booking, answer: BookingAnswer, work: UnitOfWork) -> Outcome:
        payment = work.payments.get(_payment(booking))
        if booking.op is Operation.REFUND:
            if answer.refused:
                return Reject(FeeReason.NOT_PAID_BACK.why(detail=answer.refused))
            fee_postings.fee_refunded(work, payment.id).must_hold()
            payment_states.refund(work, payment)
            return Done()
        if answer.refused and answer.ours:
            return Reject(FeeReason.BOOKING_FAULTY.why(detail=answer.refused))
        if answer.refused:
            return self._not_paid(payment, FeeReason.BANK_DECLINED.why(detail=answer.refused), work)
        if answer.unknown:
            return self._not_paid(payment, FeeReason.NO_ACCOUNT.why(), work)
        fee_postings.fee_prepaid(work, payment.id, payment.amount).must_hold()
        payment = payment_states.pay(work, payment)
        if work.certificates.get(payment.certificate).state not in RENEWABLE:
            payment_states.ask_refund(work, payment, FeeReason.PAID_TOO_LATE)
        return Done()


def _to_hold(renewal: Renewal, account: str) -> Booking:
    return Booking(
        id=_hold(renewal),
        op=Operation.HOLD,
        account=account,
        amount=renewal.fee_amount,
        ref=renewal.id,
    )


def _hold(renewal: Renewal) -> str:
    return f"{renewal.id}/hold"


def _payment(booking: Booking) -> str:
    return booking.id.partition("/")[0]
