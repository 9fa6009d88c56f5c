"""Holds, captures, voids, debits and refunds fees, each once, in the books and at the bank."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from renewal import cycle
from renewal.errors import GatewayRefusedError, GatewayUnavailableError, GatewayUnsureError
from renewal.gateways.bank.port import Booking, CoreBanking, Found, Op
from renewal.outcome import Done, IfInterrupted, Outcome, Reject, Retry
from renewal.store import fee_books
from renewal.store import renewals as queries
from schema.events import (
    CertificateActivated,
    Event,
    FeePaid,
    FeeRefunded,
    FeeSecured,
    FeeSettled,
    PaymentRefused,
    PaymentRequested,
    RefundRequested,
    RenewalAbandoned,
    RenewalConfirmed,
    RenewalRefused,
    Topic,
)
from schema.policy import FeeHow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from renewal.cycle import Policies
    from renewal.store.rows import Payment, Renewal
    from renewal.store.work import Work

REFUSED = "fee declined"
NO_ACCOUNT = "no account is on file"
#: States of a fee in which the books know of a hold, or are about to.
HOLDS = ("quoted", "holding", "held")
#: Bookings about the fee of a renewal; the others are about a payment beforehand.
OF_RENEWALS = (Op.HOLD, Op.CAPTURE, Op.VOID)
#: States of a certificate in which a renewal of it can still be paid for.
RENEWABLE = ("active", "suspended")


@dataclass(frozen=True)
class Order:
    booking: Booking
    ask: bool
    only_ask: bool = False  #: see what has become of it, and book nothing


@dataclass(frozen=True)
class Booked:
    """
    The bank has answered; ``refused`` says why not, or nothing.
    """

    refused: str = ""
    unknown: bool = False  #: the bank never saw it, and it was not sent again


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

    def preload(self, events: Sequence[Event], work: Work) -> None:
        keys = [event.renewal for event in events if hasattr(event, "renewal")]
        work.renewals.load(keys)
        known = [renewal for renewal in map(work.renewals.find, keys) if renewal]
        work.enrolments.load(
            (renewal.customer, renewal.product)
            for renewal in known
            if renewal.fee_state in HOLDS and renewal.fee_account_sealed is None
        )
        confirmed = [one for one in known if one.state == "confirmed"]
        work.certificates.load(one.certificate for one in confirmed)
        self._entitled = queries.entitled(work, [one.id for one in confirmed])
        payments = [event.payment for event in events if hasattr(event, "payment")]
        work.payments.load(payments)
        asked = [payment for payment in map(work.payments.find, payments) if payment]
        work.certificates.load(payment.certificate for payment in asked)
        holds = [_hold(renewal) for renewal in known if renewal.fee_state in HOLDS]
        if holds or payments:
            fee_books.preload(work, holds=holds, payments=payments)

    # --- prepare --------------------------------------------------------------------------------

    def prepare(self, event: Event, work: Work, *, again: bool) -> Order | Outcome:
        if isinstance(event, PaymentRequested | RefundRequested):
            return self._payment(event, work.payments.get(event.payment), work, ask=again)
        if not isinstance(
            event, RenewalConfirmed | CertificateActivated | RenewalRefused | RenewalAbandoned
        ):
            return Reject(f"{type(event).__name__} is not for billing")
        renewal = work.renewals.get(event.renewal)
        if isinstance(event, RenewalConfirmed):
            return self._secure(renewal, work, ask=again)
        if isinstance(event, CertificateActivated):
            return self._earn(renewal, work, ask=again)
        return self._give_back(renewal, work, ask=again)

    def _secure(self, renewal: Renewal, work: Work, *, ask: bool) -> Order | Outcome:
        if renewal.state != "confirmed":
            return self._found_again(renewal, work) if ask else Done()
        stopped = cycle.why_stopped(work.certificates.get(renewal.certificate))
        if stopped is not None:  # if a hold was begun, the refusal finds out and voids it
            return Done(emit=cycle.refuse(work, renewal, stopped, self.policies))
        # As it was when it was asked for: what a policy says since then is for the next one.
        if renewal.id in self._entitled:
            work.decide(renewal.certificate, "fee", "entitlement used", renewal=renewal.id)
            return self._secured(renewal, "prepaid", FeeHow.PREPAID, work)
        if renewal.fee_state == "none":
            return self._secured(renewal, "none", FeeHow.NONE, work)
        return self._hold(renewal, work, ask=ask)

    def _secured(self, renewal: Renewal, state: str, how: FeeHow, work: Work) -> Outcome:
        work.renewals.change(renewal, state="fee held", fee_state=state, moved_at=work.at)
        return Done(emit=(FeeSecured(renewal=renewal.id, how=how.value),))

    def _hold(self, renewal: Renewal, work: Work, *, ask: bool) -> Order | Outcome:
        account = self._account(renewal, work)
        if account is None:
            return self._declined(renewal, NO_ACCOUNT, work)
        if renewal.fee_state != "holding":
            # The account is pinned: the hold will be ended where it was made.
            pinned = work.vault.seal(account, "renewals.fee_account")
            renewal = work.renewals.change(renewal, fee_state="holding", fee_account_sealed=pinned)
            work.decide(
                renewal.certificate, "fee", "holding", f"NT${renewal.fee_amount}",
                renewal=renewal.id,
            )  # fmt: skip
        return Order(_to_hold(renewal, account), ask)

    def _found_again(self, renewal: Renewal, work: Work) -> Order | Outcome:
        """
        The renewal has ended while nobody knew whether its fee was held: find out, hold nothing.
        """
        account = self._account(renewal, work)
        if renewal.fee_state != "holding" or account is None:
            return Done()
        return Order(_to_hold(renewal, account), ask=True, only_ask=True)

    def _earn(self, renewal: Renewal, work: Work, *, ask: bool) -> Order | Outcome:
        """
        The certificate is delivered: the fee is taken, or the entitlement consumed.
        """
        if renewal.fee_state == "held":
            return self._ends_hold(renewal, Op.CAPTURE, work, ask=ask)
        if renewal.fee_state == "prepaid":
            payment = queries.payment_of(work, renewal.certificate, "reserved")
            if payment is None or payment.renewal != renewal.id:
                return Reject("the entitlement that this renewal used is not on record")
            fee_books.entitlement_consumed(work, renewal.id, payment=payment.id).must_hold()
            work.payments.change(payment, state="consumed")
            work.renewals.change(renewal, fee_state="consumed")
            work.decide(renewal.certificate, "fee", "consumed", renewal=renewal.id)
            return Done(emit=(FeeSettled(renewal=renewal.id, how="consumed"),))
        if renewal.fee_state == "none":
            return Done(emit=(FeeSettled(renewal=renewal.id, how="none"),))
        return Done()

    def _give_back(self, renewal: Renewal, work: Work, *, ask: bool) -> Order | Outcome:
        if renewal.fee_state == "held":
            return self._ends_hold(renewal, Op.VOID, work, ask=ask)
        return self._found_again(renewal, work)

    def _ends_hold(self, renewal: Renewal, op: Op, work: Work, *, ask: bool) -> Order | Outcome:
        account = self._account(renewal, work)
        if account is None:
            return Reject("the account of the hold is no longer on file")
        hold = _hold(renewal)
        return Order(
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
        self, event: PaymentRequested | RefundRequested, payment: Payment, work: Work, *, ask: bool
    ) -> Order | Outcome:
        refund = isinstance(event, RefundRequested)
        if payment.state != ("to refund" if refund else "asked"):
            return Done()
        certificate = work.certificates.get(payment.certificate)
        account = self._account_paid_from(payment, certificate.product, work)
        if refund and account is None:
            return Reject("no account is on file to pay back to")
        if not refund and not ask and certificate.state not in RENEWABLE:
            return self._not_paid(payment, f"the certificate is {certificate.state}", work)
        if account is None and not ask:
            return self._not_paid(payment, NO_ACCOUNT, work)
        if refund:
            fee_books.refund_owed(work, payment.id).must_hold()  # no renewal may use it any more
        elif account is not None and payment.account_sealed is None and not ask:
            # The account is pinned: what is paid back goes where it came from.
            pinned = work.vault.seal(account, "payments.account")
            work.payments.change(payment, account_sealed=pinned)
        debit = f"{payment.id}/debit"
        return Order(
            Booking(
                id=f"{payment.id}/refund" if refund else debit,
                op=Op.REFUND if refund else Op.DEBIT,
                account=account or "",
                amount=payment.amount,
                ref=payment.pays_for,
                of=debit if refund else None,
            ),
            ask,
            only_ask=account is None,
        )

    def _not_paid(self, payment: Payment, why: str, work: Work) -> Outcome:
        work.payments.change(payment, state="refused")
        work.decide(payment.certificate, "fee", "payment declined", why)
        certificate = work.certificates.get(payment.certificate)
        if certificate.state == "active":  # nothing was said while the payment was asked for
            cycle.schedule_reminder(work, certificate, self.policies)
        return Done(emit=(PaymentRefused(payment=payment.id, why=REFUSED),))

    def _account_paid_from(self, payment: Payment, product: str, work: Work) -> str | None:
        if payment.account_sealed is not None:
            return work.vault.open_text(payment.account_sealed, "payments.account")
        return self._account_of(payment.customer, product, work)

    def _account(self, renewal: Renewal, work: Work) -> str | None:
        if renewal.fee_account_sealed is not None:
            return work.vault.open_text(renewal.fee_account_sealed, "renewals.fee_account")
        return self._account_of(renewal.customer, renewal.product, work)

    def _account_of(self, customer: int, product: str, work: Work) -> str | None:
        enrolment = work.enrolments.find((customer, product))
        if enrolment is None or enrolment.account_sealed is None:
            return None
        return work.vault.open_text(enrolment.account_sealed, "enrolments.account")

    # --- carry out ------------------------------------------------------------------------------

    def carry_out(self, order: Order) -> Booked:
        """
        Ask first where an earlier answer was lost; a booking's id makes the bank do it once.
        """
        if order.ask:
            found = self.bank.inquire(order.booking.id)
            if found is Found.DONE:
                return Booked()
            if found is Found.REFUSED:
                return Booked(refused="the bank has declined it")
        if order.only_ask:
            return Booked(unknown=True)
        try:
            self.bank.book(order.booking)
        except GatewayRefusedError as error:
            return Booked(refused=str(error))
        except GatewayUnsureError:
            return self._found_out(order.booking)
        return Booked()

    def _found_out(self, booking: Booking) -> Booked:
        try:
            found = self.bank.inquire(booking.id)
        except GatewayUnavailableError as error:  # "nothing happened" is true of the inquiry only
            raise GatewayUnsureError("the bank cannot say what became of it") from error
        if found is Found.UNKNOWN:
            raise GatewayUnsureError("the bank does not know the booking yet")
        return Booked(refused="the bank has declined it" if found is Found.REFUSED else "")

    # --- conclude -------------------------------------------------------------------------------

    def preload_orders(self, orders: Sequence[Order], work: Work) -> None:
        of_renewals = [one.booking for one in orders if one.booking.op in OF_RENEWALS]
        of_payments = [one.booking for one in orders if one.booking.op not in OF_RENEWALS]
        payments = [_payment(booking) for booking in of_payments]
        keys = [booking.ref for booking in of_renewals]
        work.renewals.load(keys)
        declinable = [booking.ref for booking in of_renewals if booking.op is Op.HOLD]
        work.certificates.load(work.renewals.get(key).certificate for key in declinable)
        work.payments.load(payments)
        holds = [booking.of or booking.id for booking in of_renewals]
        fee_books.preload(work, holds=holds, payments=payments)

    def conclude(self, order: Order, answer: Booked, work: Work) -> Outcome:
        booking = order.booking
        if booking.op in {Op.DEBIT, Op.REFUND}:
            return self._payment_booked(booking, answer, work)
        renewal = work.renewals.get(booking.ref)
        if order.only_ask or (booking.op is Op.HOLD and renewal.state != "confirmed"):
            return self._held_in_vain(renewal, booking, answer, work)
        if booking.op is Op.HOLD:
            return self._held(renewal, booking, answer, work)
        if answer.refused:
            return Reject(f"the bank refused to {booking.op.value} a hold: {answer.refused}")
        hold = booking.of or ""
        if booking.op is Op.CAPTURE:
            fee_books.fee_captured(work, renewal.id, hold=hold).must_hold()
            state = "captured"
        else:
            fee_books.fee_voided(work, renewal.id, hold=hold).must_hold()
            state = "voided"
        work.renewals.change(renewal, fee_state=state)
        work.decide(renewal.certificate, "fee", state, renewal=renewal.id)
        return Done(emit=(FeeSettled(renewal=renewal.id, how=state),))

    def _held(self, renewal: Renewal, booking: Booking, answer: Booked, work: Work) -> Outcome:
        if answer.refused:
            return self._declined(renewal, answer.refused, work)
        fee_books.fee_held(work, renewal.id, booking.amount, booking.id).must_hold()
        work.renewals.change(renewal, state="fee held", fee_state="held", moved_at=work.at)
        work.decide(renewal.certificate, "fee", "held", renewal=renewal.id)
        return Done(emit=(FeeSecured(renewal=renewal.id, how="hold"),))

    def _held_in_vain(
        self, renewal: Renewal, booking: Booking, answer: Booked, work: Work
    ) -> Outcome:
        """
        A hold for a renewal that has ended is known to the books, and then given back.
        """
        if renewal.fee_state != "holding":
            return Done()
        if answer.refused or answer.unknown:
            work.renewals.change(renewal, fee_state="declined")
            work.decide(renewal.certificate, "fee", "not held", renewal=renewal.id)
            return Done()
        fee_books.fee_held(work, renewal.id, booking.amount, booking.id).must_hold()
        work.renewals.change(renewal, fee_state="held")
        work.decide(renewal.certificate, "fee", "held", "to be voided", renewal=renewal.id)
        return Retry(timedelta(0), "the hold is to be voided", spends_a_try=False)

    def _declined(self, renewal: Renewal, why: str, work: Work) -> Outcome:
        work.decide(renewal.certificate, "fee", "declined", why, renewal=renewal.id)
        renewal = work.renewals.change(renewal, fee_state="declined")
        return Done(emit=cycle.refuse(work, renewal, REFUSED, self.policies))

    def _payment_booked(self, booking: Booking, answer: Booked, work: Work) -> Outcome:
        payment = work.payments.get(_payment(booking))
        if booking.op is Op.REFUND:
            if answer.refused:
                return Reject(f"the bank refused a refund: {answer.refused}")
            fee_books.fee_refunded(work, payment.id).must_hold()
            work.payments.change(payment, state="refunded")
            work.decide(payment.certificate, "fee", "refunded", f"NT${payment.amount}")
            return Done(emit=(FeeRefunded(payment=payment.id),))
        if answer.refused or answer.unknown:
            return self._not_paid(payment, answer.refused or NO_ACCOUNT, work)
        fee_books.fee_prepaid(work, payment.id, payment.amount).must_hold()
        payment = work.payments.change(payment, state="paid")
        work.decide(payment.certificate, "fee", "paid", f"NT${payment.amount}")
        back: tuple[Event, ...] = ()
        if work.certificates.get(payment.certificate).state not in RENEWABLE:
            back = cycle.refund(work, payment, "paid too late")  # its window closed meanwhile
        return Done(emit=(FeePaid(payment=payment.id), *back))


def _to_hold(renewal: Renewal, account: str) -> Booking:
    return Booking(
        id=_hold(renewal),
        op=Op.HOLD,
        account=account,
        amount=renewal.fee_amount,
        ref=renewal.id,
    )


def _hold(renewal: Renewal) -> str:
    return f"{renewal.id}/hold"


def _payment(booking: Booking) -> str:
    return booking.id.partition("/")[0]
