"""Tells customers how a renewal ended: receipts, refusals, and what changed with a certificate."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from consumers.sending import (
    Carriers,
    Failed,
    Handed,
    Outgoing,
    address,
    claim,
    contact,
    counts_today,
    goes_today,
    hand_over,
    handed,
    hash_of_address,
)
from renewal.gateways.sms.port import Lane
from renewal.outcome import Done, IfInterrupted, Outcome, Retry
from renewal.rules.quiet import NEWS_HOURS, Calendar, allowed_from
from renewal.rules.suppression import SMS_A_DAY, Contact, cap_ends
from renewal.rules.taipei import day_of, start_of
from renewal.rules.window import closes_at, opens_at
from renewal.store import fee_books
from renewal.store.messages import texts_since
from schema import events as e
from schema.policy import Channel, Storage
from templates import facts as f

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from renewal.cycle import Policies
    from renewal.store.rows import Certificate, Customer, Message, Renewal
    from renewal.store.work import Work
    from templates.voice import Voice

#: Our words for a refusal, and the customer's.
REASONS = {
    "fee declined": f.Refusal.FEE_DECLINED,
    "declined by ca": f.Refusal.DECLINED_BY_CA,
    "suspended": f.Refusal.SUSPENDED,
    "revoked": f.Refusal.REVOKED,
}


#: After so long, what a customer should have heard is told no more. The longest row of days
#: without a text, Lunar New Year with its weekends, is ten.
STALE = timedelta(days=14)


@dataclass(frozen=True)
class Order:
    certificate: int
    out: Outgoing


@dataclass(frozen=True)
class _About:
    """
    Whom a notice is for, and which certificate it is about.
    """

    certificate: Certificate
    renewal: Renewal | None = None
    payment: str | None = None


@dataclass(kw_only=True)
class Notices:
    group: ClassVar[str] = "notices"
    topics: ClassVar[tuple[str, ...]] = (
        e.Topic.RENEWALS.value,
        e.Topic.PAYMENTS.value,
        e.Topic.CERTIFICATES.value,
        e.Topic.REMINDERS.value,
    )
    kinds: ClassVar[tuple[type[e.Event], ...]] = (
        e.RenewalDone,
        e.RenewalRefused,
        e.FeePaid,
        e.FeeRefunded,
        e.RenewalWindowLeft,
        e.CertificateChanged,
        e.CertificateChangedV1,
        e.NotCollectedDue,
    )
    if_interrupted: ClassVar[IfInterrupted] = IfInterrupted.ASK

    carriers: Carriers
    voice: Voice
    policies: Policies
    calendar: Calendar
    _texts: dict[int, int] = field(init=False, default_factory=dict)  # of today, by customer

    def preload(self, events: Sequence[e.Event], work: Work) -> None:
        payments = [event.payment for event in events if hasattr(event, "payment")]
        work.renewals.load(event.renewal for event in events if hasattr(event, "renewal"))
        work.payments.load(payments)
        if payments:
            fee_books.preload(work, payments=payments)
        keys = [_certificate(event, work) for event in events]
        work.certificates.load(keys)
        work.customers.load(work.certificates.get(key).customer for key in keys)
        work.messages.load(_message_id(event) for event in events)
        texted = {
            customer.id
            for event, key in zip(events, keys, strict=True)
            if (customer := work.customers.find(work.certificates.get(key).customer))
            and self._channel(event, customer) is Channel.SMS
        }
        today = texts_since(work, texted, start_of(day_of(work.at)))
        self._texts = {customer: sum(texts) for customer, texts in today.items()}

    def prepare(self, event: e.Event, work: Work, *, again: bool) -> Order | Outcome:
        about = _about(event, work)
        customer = work.customers.find(about.certificate.customer)
        message = _message_id(event)
        known = work.messages.find(message)
        if customer is None or (known is not None and known.state != "claimed"):
            return Done()
        if isinstance(event, e.NotCollectedDue) and not _still_waits(about.renewal):
            work.decide(about.certificate.id, "notice", "suppressed", "collected meanwhile")
            return Done()
        if isinstance(event, e.RenewalWindowLeft) and self._is_stale(event, work.at):
            work.decide(about.certificate.id, "notice", "suppressed", "its window closed long ago")
            return Done()
        channel = self._channel(event, customer)
        if channel is None:
            work.decide(about.certificate.id, "notice", "not sent", "no address is usable")
            return Done()
        if channel is Channel.SMS:
            others = self._other_texts(customer, known, work.at)
            if isinstance(event, e.RenewalWindowLeft):
                until = self._not_before(others, work.at)
                if until > work.at:
                    return Retry(until - work.at, "it can wait", spends_a_try=False)
            self._texts[customer.id] = others + 1
            if known is not None:
                goes_today(work, known)
        facts = self._facts(event, about, customer, work)
        out = self._written(message, facts, customer, channel, work)
        renewal = about.renewal.id if about.renewal else None
        claim(work, out, kind=facts.message, customer=customer.id, renewal=renewal)
        claimed = (known.claimed_at if known else None) or work.at
        since = claimed - timedelta(minutes=5)  # however long it has waited
        return Order(about.certificate.id, replace(out, ask=again, since=since))

    def _is_stale(self, event: e.RenewalWindowLeft, now: datetime) -> bool:
        """
        News of a window that closed before the house was even opened helps nobody.
        """
        window = self.policies.of(event.product).window
        return now - closes_at(event.not_after, window) > STALE

    def _other_texts(self, customer: Customer, known: Message | None, now: datetime) -> int:
        """
        How many of today's there are beside this one, which may have been claimed before.
        """
        mine = known is not None and counts_today(known, now)
        return self._texts.get(customer.id, 0) - mine

    def _not_before(self, others: int, now: datetime) -> datetime:
        """
        From when on a text that urges nobody may be sent: on a day that has no other one, and
        in its later hours, so that it takes the day's text from no reminder.
        """
        since = cap_ends(now) if others >= SMS_A_DAY else now
        return allowed_from(since, Channel.SMS, self.calendar, hours=NEWS_HOURS)

    def _channel(self, event: e.Event, customer: Customer) -> Channel | None:
        """
        Mail is asked first: it holds more and disturbs nobody at night.
        """
        urges = isinstance(event, e.NotCollectedDue)
        if urges and customer.opted_out:
            return None
        for channel in (Channel.MAIL,) if urges else (Channel.MAIL, Channel.SMS):
            if contact(customer, channel) is Contact.GOOD:
                return channel
        return None

    def _facts(self, event: e.Event, about: _About, customer: Customer, work: Work) -> f.Facts:
        certificate, renewal = about.certificate, about.renewal
        policy = self.policies.of(certificate.product)
        name = work.vault.open_text(customer.name_sealed, "customers.name")
        product = policy.title.en if customer.locale == "en" else policy.title.zh
        serial_tail = certificate.serial[-6:]
        match event:
            case e.RenewalDone() if renewal is not None and renewal.fee_state == "captured":
                return f.Receipt(
                    customer=name,
                    product=product,
                    serial_tail=serial_tail,
                    amount=renewal.fee_amount,
                    paid_at=renewal.moved_at,
                    valid_from=certificate.not_before,
                    valid_to=certificate.not_after,
                )
            case e.RenewalDone():
                return f.Renewed(
                    customer=name,
                    product=product,
                    serial_tail=serial_tail,
                    valid_from=certificate.not_before,
                    valid_to=certificate.not_after,
                    in_browser=policy.storage is Storage.BROWSER,
                )
            case e.NotCollectedDue() if renewal is not None:
                return f.NotCollected(
                    customer=name,
                    product=product,
                    serial_tail=serial_tail,
                    issued_at=renewal.moved_at,
                    collect_by=renewal.moved_at + timedelta(days=policy.abandon_after_days),
                )
            case e.RenewalRefused():
                return f.Refused(
                    customer=name,
                    product=product,
                    serial_tail=serial_tail,
                    reason=REASONS.get(event.why, f.Refusal.WRONG_TOKEN),
                )
            case e.FeePaid() | e.FeeRefunded():
                return self._paid(event, about, name, product, work)
            case e.RenewalWindowLeft():
                return f.Expired(
                    customer=name,
                    product=product,
                    serial_tail=serial_tail,
                    not_after=certificate.not_after,
                )
            case e.ChangeEvent():
                kind = {
                    e.Change.SUSPEND: f.Suspended,
                    e.Change.RESUME: f.Resumed,
                    e.Change.REVOKE: f.Revoked,
                }[event.change]
                at = event.changed if isinstance(event, e.CertificateChanged) else work.at
                return kind(customer=name, product=product, serial_tail=serial_tail, at=at)
            case _:
                raise TypeError(f"{type(event).__name__} is not for notices")

    def _paid(
        self, event: e.FeePaid | e.FeeRefunded, about: _About, name: str, product: str, work: Work
    ) -> f.Facts:
        payment, certificate = work.payments.get(event.payment), about.certificate
        window = self.policies.of(certificate.product).window
        serial_tail = certificate.serial[-6:]
        if isinstance(event, e.FeeRefunded):
            return f.Refunded(
                customer=name,
                product=product,
                serial_tail=serial_tail,
                amount=payment.amount,
                refunded_at=fee_books.refunded_at(work, payment.id),
            )
        opens = opens_at(certificate.not_after, window)
        return f.FeePaid(
            customer=name,
            product=product,
            serial_tail=serial_tail,
            amount=payment.amount,
            paid_at=fee_books.paid_at(work, payment.id),
            renew_by=closes_at(certificate.not_after, window),
            opens_at=opens if opens > work.at else None,
        )

    def _written(
        self, message: str, facts: f.Facts, customer: Customer, channel: Channel, work: Work
    ) -> Outgoing:
        letter = self.voice.mail(facts, customer.locale) if channel is Channel.MAIL else None
        return Outgoing(
            message=message,
            channel=channel,
            to=address(work, customer, channel),
            body=letter.text if letter else self.voice.sms(facts, customer.locale),
            subject=letter.subject if letter else "",
            html=letter.html if letter else None,
            locale=customer.locale,
            # A receipt is no advertising: it cannot be unsubscribed from, and has no quiet hours.
            lane=Lane.REMINDERS if isinstance(facts, f.NotCollected) else Lane.CODES,
            since=work.at,
            ask=False,
            address_hash=hash_of_address(customer, channel),
        )

    def carry_out(self, order: Order) -> Handed | Failed:
        return hand_over(self.carriers, order.out)

    def preload_orders(self, orders: Sequence[Order], work: Work) -> None:
        work.messages.load(order.out.message for order in orders)

    def conclude(self, order: Order, answer: Handed | Failed, work: Work) -> Outcome:
        handed(work, order.out.message, answer, order.out.address_hash)
        what, why = ("failed", answer.code) if isinstance(answer, Failed) else ("sent", "")
        work.decide(
            order.certificate,
            "notice",
            what,
            why,
            channel=order.out.channel.value,
            message=order.out.message,
        )
        return Done()


def _certificate(event: e.Event, work: Work) -> int | None:
    """
    The one that a notice of it is about.
    """
    match event:
        case e.FeePaid() | e.FeeRefunded():
            return work.payments.get(event.payment).certificate
        case e.RenewalDone() | e.NotCollectedDue():
            return work.renewals.get(event.renewal).new_certificate
        case e.RenewalRefused():
            return work.renewals.get(event.renewal).certificate
        case e.RenewalWindowLeft() | e.ChangeEvent():
            return event.certificate
        case _:
            raise TypeError(f"{type(event).__name__} is not for notices")


def _about(event: e.Event, work: Work) -> _About:
    renewal, payment = getattr(event, "renewal", None), getattr(event, "payment", None)
    return _About(
        certificate=work.certificates.get(_certificate(event, work)),
        renewal=None if renewal is None else work.renewals.get(renewal),
        payment=payment,
    )


def _still_waits(renewal: Renewal | None) -> bool:
    return renewal is not None and renewal.state in {"issued", "delivered"}


def _message_id(event: e.Event) -> str:
    return "N" + hashlib.sha256(event.identity.encode()).hexdigest()[:20]
