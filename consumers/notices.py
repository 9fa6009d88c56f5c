"""Sends notices: receipts, refusals, and changes of a certificate."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from consumers import replaced_addresses
from consumers.message_writing import Sending, life_of_text, notice_id, write_message
from consumers.notice_table import KINDS, Notice, NoticeSubject, TextTime, notice_of
from consumers.outbound import (
    Carriers,
    HandedOver,
    OutboundMessage,
    SendFailed,
    Withheld,
    claim,
    contact,
    count_today,
    counts_today,
    kept,
    record_result,
    send,
    withheld,
)
from consumers.replaced_addresses import NotifyReplacedAddress
from renewal.gateways.sms.port import GatewayMisconfiguredError, Lane
from renewal.ledger import fee_postings
from renewal.lifecycle.messages import carrier_said
from renewal.lifecycle.renewals import is_application
from renewal.outcome import Done, IfInterrupted, Outcome, Retry
from renewal.rules.contact_hours import (
    NOTICE_HOURS,
    Calendar,
    allowed_from,
)
from renewal.rules.suppression import SMS_A_DAY, Contact, cap_ends
from renewal.store.messages import texts_since
from schema import events as e
from schema.codec import decode, encode
from schema.policy import Channel
from schema.reasons import DecisionKind, DeferralReason, OutcomeReason, SuppressionReason
from schema.states import MessageState
from schema.taipei import day_of, start_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from consumers.registry import Installation
    from renewal.db.rows import Customer, Message
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies
    from templates.rendering import MessageRenderer

#: Behind the id of a notice that goes by the other channel.
SECOND = "-2"
#: Who has asked longer ago does not sit and wait for the answer.
ANSWERS_WITHIN = timedelta(hours=1)


@dataclass(frozen=True)
class SendNotice:
    certificate: int
    out: OutboundMessage


@dataclass(kw_only=True)
class Notices:
    group: ClassVar[str] = "notices"
    topics: ClassVar[tuple[str, ...]] = (
        e.Topic.RENEWALS.value,
        e.Topic.PAYMENTS.value,
        e.Topic.CERTIFICATES.value,
        e.Topic.REMINDERS.value,
    )
    kinds: ClassVar[tuple[type[e.Event], ...]] = (*KINDS, e.AddressReplaced, e.MessageFailed)
    if_interrupted: ClassVar[IfInterrupted] = IfInterrupted.ASK

    carriers: Carriers
    renderer: MessageRenderer
    policies: Policies
    calendar: Calendar
    _texts: dict[int, int] = field(init=False, default_factory=dict)  # of today, by customer

    @classmethod
    def of(cls, it: Installation) -> Notices:
        return cls(
            carriers=it.carriers,
            renderer=it.renderer,
            policies=it.policies,
            calendar=it.calendar,
        )

    def preload(self, events: Sequence[e.Event], work: UnitOfWork) -> None:
        self.carriers.gate.look(work)
        work.messages.load(event.message for event in events if isinstance(event, e.MessageFailed))
        events = replaced_addresses.preload(events, work)
        work.renewals.load(event.renewal for event in events if hasattr(event, "renewal"))
        events = [noticed for event in events if (noticed := _told_of(event, work)) is not None]
        work.recordings.load(
            event.renewal
            for event in events
            if isinstance(event, e.RecordingDue | e.RenewalRecorded)
        )
        payments = [event.payment for event in events if hasattr(event, "payment")]
        work.renewals.load(event.renewal for event in events if hasattr(event, "renewal"))
        work.payments.load(payments)
        if payments:
            fee_postings.preload(work, payments=payments)
        keys = [notice_of(event).certificate(event, work) for event in events]
        work.certificates.load(keys)
        work.customers.load(work.certificates.get(key).customer for key in keys)
        ids = [notice_id(event) for event in events]
        work.messages.load([*ids, *map(_second, ids)])
        texted = {
            customer.id
            for event, key in zip(events, keys, strict=True)
            if (customer := work.customers.find(work.certificates.get(key).customer))
            and customer.mobile_sealed is not None
        }
        today = texts_since(work, texted, start_of(day_of(work.at)))
        self._texts = {customer: sum(texts) for customer, texts in today.items()}

    def prepare(
        self, event: e.Event, work: UnitOfWork, *, outcome_unknown: bool
    ) -> SendNotice | NotifyReplacedAddress | Outcome:
        if isinstance(event, e.AddressReplaced):
            return replaced_addresses.prepare(
                event,
                work,
                renderer=self.renderer,
                calendar=self.calendar,
                outcome_unknown=outcome_unknown,
            )
        noticed = _told_of(event, work)
        if noticed is None:
            return Done()  # a reminder or a code that has failed is no matter of ours
        event, notice = noticed, notice_of(noticed)
        about = self._subject(event, notice, work)
        customer = work.customers.find(about.certificate.customer)
        message, known, tried = _attempt(event, work)
        if customer is None or (known is not None and known.state != MessageState.CLAIMED):
            return Done()
        moot = notice.moot(about)
        if moot is not None:
            work.record_decision(about.certificate.id, DecisionKind.NOTICE_SUPPRESSED, moot)
            return Done()
        channel = _channel(notice, customer, work.at, tried)
        if channel is None:
            calls = notice.matters and not customer.opted_out
            kind = DecisionKind.NOTICE_BRANCH_CALL if calls else DecisionKind.NOTICE_NOT_SENT
            work.record_decision(about.certificate.id, kind, SuppressionReason.NO_ADDRESS)
            return Done()
        if channel is Channel.SMS:
            others = self._other_texts(customer, known, work.at)
            until = self._not_before(notice, about, others)
            if until > work.at:
                return Retry(until - work.at, DeferralReason.CAN_WAIT.why(), spends_a_try=False)
            self._texts[customer.id] = others + 1
            if known is not None:
                count_today(work, known)
        facts = notice.fields(about, about.common(customer))
        out = write_message(
            facts,
            customer,
            Sending(
                message=message,
                channel=channel,
                lane=Lane.REMINDERS if notice.urges else Lane.CODES,
                since=work.at,
                valid_for=life_of_text(work.at, self.calendar) if channel is Channel.SMS else None,
            ),
            renderer=self.renderer,
            work=work,
        )
        renewal = about.renewal.id if about.renewal else None
        claim(
            work,
            out,
            kind=facts.message,
            customer=customer.id,
            renewal=renewal,
            instead_of=notice_id(event) if tried else None,
            about=encode(event),
        )
        claimed = (known.claimed_at if known else None) or work.at
        since = claimed - timedelta(minutes=5)  # however long it has waited
        return SendNotice(
            about.certificate.id,
            replace(out, inquire_first=outcome_unknown, since=since, dated=claimed),
        )

    def _subject(self, event: e.Event, notice: Notice, work: UnitOfWork) -> NoticeSubject:
        certificate = work.certificates.get(notice.certificate(event, work))
        renewal = getattr(event, "renewal", None)
        return NoticeSubject(
            event=event,
            certificate=certificate,
            renewal=None if renewal is None else work.renewals.get(renewal),
            policies=self.policies,
            work=work,
        )

    def _other_texts(self, customer: Customer, known: Message | None, now: datetime) -> int:
        """The customer's other text messages of today; this one may have been claimed before."""
        mine = known is not None and counts_today(known, now)
        return self._texts.get(customer.id, 0) - mine

    def _not_before(self, notice: Notice, about: NoticeSubject, others: int) -> datetime:
        """From when on it may go as a text message (``TextTime``)."""
        now, when = about.work.at, notice.text_time
        if when is TextTime.AT_ONCE or (when is TextTime.ANSWER and _is_awaited(about)):
            return now
        if when in {TextTime.ANSWER, TextTime.WITHIN_HOURS}:
            return allowed_from(now, Channel.SMS, self.calendar, step=0)
        since = cap_ends(now) if others >= SMS_A_DAY else now
        if when is TextTime.FREE_DAY:
            return allowed_from(since, Channel.SMS, self.calendar)
        return allowed_from(since, Channel.SMS, self.calendar, hours=NOTICE_HOURS)

    def carry_out(
        self, order: SendNotice | NotifyReplacedAddress
    ) -> HandedOver | SendFailed | Withheld:
        try:
            return send(self.carriers, order.out)
        except GatewayMisconfiguredError as error:
            return withheld(error)

    def preload_orders(
        self, orders: Sequence[SendNotice | NotifyReplacedAddress], work: UnitOfWork
    ) -> None:
        work.messages.load(order.out.message for order in orders)

    def conclude(
        self,
        order: SendNotice | NotifyReplacedAddress,
        answer: HandedOver | SendFailed | Withheld,
        work: UnitOfWork,
    ) -> Outcome:
        if isinstance(answer, Withheld):
            return kept(work, order.out, answer)
        if isinstance(order, NotifyReplacedAddress):
            return replaced_addresses.conclude(order, answer, work, self.carriers.gate)
        record_result(work, order.out, answer, self.carriers.gate)
        failed = isinstance(answer, SendFailed)
        work.record_decision(
            order.certificate,
            DecisionKind.NOTICE_FAILED if failed else DecisionKind.NOTICE_SENT,
            carrier_said(answer.code) if isinstance(answer, SendFailed) else None,
            channel=order.out.channel.value,
            message=order.out.message,
        )
        if failed and not order.out.message.endswith(SECOND):
            return Retry(timedelta(0), OutcomeReason.OTHER_CHANNEL.why(), spends_a_try=False)
        return Done() if not failed else self._last_failed(order, work)

    def _last_failed(self, order: SendNotice, work: UnitOfWork) -> Done:
        """Both channels have failed: what matters is told by telephone."""
        about = work.messages.get(order.out.message).about
        if about is not None and notice_of(decode(about)).matters:
            kind = DecisionKind.NOTICE_BRANCH_CALL
            work.record_decision(order.certificate, kind, SuppressionReason.NO_CHANNEL_LEFT)
        return Done()


def _told_of(event: e.Event, work: UnitOfWork) -> e.Event | None:
    """
    The event itself, or that of which a notice told that did not arrive. A refused application
    has no certificate to tell of: its page says what became of it.
    """
    if isinstance(event, e.RenewalRefused) and is_application(work.renewals.get(event.renewal)):
        return None
    if not isinstance(event, e.MessageFailed):
        return event
    failed = work.messages.find(event.message)
    if failed is None or failed.about is None or failed.state == MessageState.DELIVERED:
        return None
    return decode(failed.about)


def _attempt(event: e.Event, work: UnitOfWork) -> tuple[str, Message | None, str | None]:
    """
    The message that is to go or has gone last, its row, and the channel that was tried before it.
    """
    first = work.messages.find(notice_id(event))
    gone = {MessageState.UNDELIVERED, MessageState.UNCERTAIN}
    if first is None or first.state not in gone:
        return notice_id(event), first, None
    second = _second(first.id)
    return second, work.messages.find(second), first.channel


def _second(message: str) -> str:
    return f"{message}{SECOND}"


def _channel(notice: Notice, customer: Customer, at: datetime, tried: str | None) -> Channel | None:
    if notice.urges and customer.opted_out:
        return None
    untried = (channel for channel in notice.channels if channel.value != tried)
    return next((one for one in untried if contact(customer, one, at) is Contact.GOOD), None)


def _is_awaited(about: NoticeSubject) -> bool:
    """Whether somebody waits for it: the customer has asked within the hour."""
    asked = about.renewal.requested_at if about.renewal else None
    if isinstance(about.event, e.FeePaid):
        asked = about.work.payments.get(about.event.payment).asked_at
    return asked is not None and about.work.at - asked <= ANSWERS_WITHIN
