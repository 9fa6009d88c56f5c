"""Reminds customers, once for each threshold, of certificates that will end."""

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
    hand_over,
    handed,
    handed_before,
    withdrawn,
)
from renewal.gateways.sms.port import Lane
from renewal.outcome import Done, IfInterrupted, Outcome, Retry
from renewal.rules import ladder, suppression
from renewal.rules.quiet import Calendar, allowed_from
from renewal.rules.suppression import Contact, Suppression
from renewal.rules.taipei import day_of, start_of
from renewal.rules.window import closes_at, opens_at
from renewal.store import certificates as certificate_queries
from renewal.store import messages as message_queries
from renewal.store import renewals as renewal_queries
from schema.events import Event, MessageFailed, ReminderDue, Topic
from schema.policy import Channel, FeeHow
from templates.facts import Reminder, ReminderItem

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from renewal.cycle import Policies
    from renewal.store.engine import Store
    from renewal.store.rows import Certificate, Customer
    from renewal.store.work import Work
    from schema.policy import Policy
    from templates.voice import Voice


@dataclass(frozen=True, kw_only=True)
class Owed:
    """
    A certificate and the threshold of which its customer is to be told.
    """

    certificate: Certificate
    policy: Policy
    threshold: int


@dataclass(frozen=True, kw_only=True)
class Order:
    out: Outgoing
    certificates: tuple[int, ...]


@dataclass(frozen=True)
class Withdrawn:
    """
    Not sent: it would be in vain now.
    """

    why: str


@dataclass(kw_only=True)
class Sight:
    """
    What one batch needs to know, read with one query for each table.
    """

    certificates: dict[int, list[Certificate]] = field(default_factory=dict)  # by customer
    under_way: set[int] = field(default_factory=set)
    paid: set[int] = field(default_factory=set)
    sms_today: dict[int, int] = field(default_factory=dict)


@dataclass(kw_only=True)
class Reminders:
    group: ClassVar[str] = "reminders"
    topics: ClassVar[tuple[str, ...]] = (Topic.REMINDERS.value,)
    kinds: ClassVar[tuple[type[Event], ...]] = (ReminderDue, MessageFailed)
    if_interrupted: ClassVar[IfInterrupted] = IfInterrupted.ASK  # a carrier can be asked

    carriers: Carriers
    voice: Voice
    policies: Policies
    calendar: Calendar
    store: Store
    sight: Sight = field(default_factory=Sight)

    def preload(self, events: Sequence[ReminderDue | MessageFailed], work: Work) -> None:
        customers = {event.customer for event in events}
        work.customers.load(customers)
        work.messages.load(_message_id(event) for event in events)
        found = certificate_queries.of_customers(work, customers)
        ids = [certificate.id for certificate in found]
        self.sight = Sight(
            under_way=renewal_queries.under_way(work, ids),
            paid=renewal_queries.paid_for(work, ids),
            sms_today=message_queries.sms_today(work, customers, start_of(day_of(work.at))),
        )
        for certificate in found:
            if certificate.customer is not None:
                self.sight.certificates.setdefault(certificate.customer, []).append(certificate)

    # --- prepare --------------------------------------------------------------------------------

    def prepare(
        self, event: ReminderDue | MessageFailed, work: Work, *, again: bool
    ) -> Order | Outcome:
        customer = work.customers.get(event.customer)
        if work.messages.find(_message_id(event)) is not None:
            return self._resumed(event, customer, work, ask=again)
        if isinstance(event, MessageFailed):
            return self._instead(event, customer, work)
        owed = self._owed(customer, work)
        if event.certificate not in {one.certificate.id for one in owed}:
            return Done()  # told with another certificate's, or nothing is owed any more
        owed = self._not_in_vain(owed, work)
        if not owed:
            return Done()
        channels = owed[0].policy.channels
        return self._reach(event, customer, owed, channels, work)

    def _owed(self, customer: Customer, work: Work) -> list[Owed]:
        found = []
        for seen in self.sight.certificates.get(customer.id, ()):
            certificate = work.certificates.get(seen.id)
            policy = self.policies.by_product.get(certificate.product)
            if policy is None or certificate.state != "active":
                continue
            step = ladder.owed(work.at, certificate.not_after, policy, certificate.told)
            if step is not None:
                found.append(Owed(certificate=certificate, policy=policy, threshold=step))
        return found

    def _not_in_vain(self, owed: list[Owed], work: Work) -> list[Owed]:
        kept = []
        for one in owed:
            why = self._why_not(one, work.at)
            if why is None:
                kept.append(one)
            else:
                work.decide(
                    one.certificate.id, "reminder", "suppressed", why.value, threshold=one.threshold
                )
        return kept

    def _why_not(self, one: Owed, now: datetime) -> Suppression | None:
        return suppression.why_not_reminded(
            now=now,
            not_after=one.certificate.not_after,
            policy=one.policy,
            channel=one.policy.channels[0],
            state=one.certificate.state,
            renewed=False,
            under_way=one.certificate.id in self.sight.under_way,
            paid=one.certificate.id in self.sight.paid,
            opted_out=False,
            contact=Contact.GOOD,
            sms_sent_today=0,
        )

    def _reach(
        self,
        event: ReminderDue | MessageFailed,
        customer: Customer,
        owed: list[Owed],
        channels: Sequence[Channel],
        work: Work,
        instead_of: str | None = None,
    ) -> Order | Outcome:
        why: Suppression | None = Suppression.NO_CONTACT
        for channel in channels:
            why = suppression.why_not_reached(
                channel=channel,
                opted_out=customer.opted_out,
                contact=contact(customer, channel),
                sms_sent_today=self.sight.sms_today.get(customer.id, 0),
            )
            if why is None:
                step = min(one.threshold for one in owed)
                until = allowed_from(work.at, channel, self.calendar, step=step)
                if until > work.at:
                    return self._put_off(owed, until, "quiet hours", work, event)
                return self._send(event, customer, owed, channel, work, instead_of)
            if why.defers:
                return self._put_off(owed, suppression.cap_ends(work.at), why.value, work, event)
            if not why.next_channel:
                break
        return self._unreached(owed, why, work, instead_of)

    def _unreached(
        self, owed: list[Owed], why: Suppression | None, work: Work, instead_of: str | None
    ) -> Done:
        text = why.value if why else "no channel is left"
        for one in owed:
            if instead_of is None:
                work.certificates.change(
                    work.certificates.get(one.certificate.id), told=one.threshold
                )
            what = "suppressed" if why is Suppression.OPTED_OUT else "branch call"
            work.decide(one.certificate.id, "reminder", what, text, threshold=one.threshold)
        return Done()

    def _put_off(
        self,
        owed: list[Owed],
        until: datetime,
        why: str,
        work: Work,
        event: ReminderDue | MessageFailed,
    ) -> Outcome:
        """
        Neither sent nor lost: the certificates are looked at again then.
        """
        if isinstance(event, MessageFailed):
            return Retry(until - work.at, why, spends_a_try=False)
        for one in owed:
            certificate = work.certificates.get(one.certificate.id)
            if until > closes_at(certificate.not_after, one.policy.window):
                work.certificates.change(certificate, told=one.threshold)
                what, why, then = "suppressed", Suppression.WINDOW_OVER.value, None
            else:
                if certificate.remind_at is None or certificate.remind_at > until:
                    work.certificates.change(certificate, remind_at=until)
                what, then = "deferred", until
            work.decide(certificate.id, "reminder", what, why, threshold=one.threshold, until=then)
        return Done()

    def _send(
        self,
        event: ReminderDue | MessageFailed,
        customer: Customer,
        owed: list[Owed],
        channel: Channel,
        work: Work,
        instead_of: str | None,
    ) -> Order:
        out = self._written(_message_id(event), customer, owed, channel, work)
        claim(work, out, kind="reminder", customer=customer.id, instead_of=instead_of)
        message_queries.write_claims(
            work,
            [
                message_queries.claim(one.certificate.id, one.threshold, channel.value, out.message)
                for one in owed
            ],
        )
        mine = event.certificate if isinstance(event, ReminderDue) else owed[0].certificate.id
        for one in owed:
            certificate = work.certificates.get(one.certificate.id)
            if certificate.told != one.threshold:
                work.certificates.change(certificate, told=one.threshold)
            work.decide(
                certificate.id,
                "reminder",
                "claimed" if certificate.id == mine else "merged",
                threshold=one.threshold,
                channel=channel.value,
                message=out.message,
            )
        if channel is Channel.SMS:
            self.sight.sms_today[customer.id] = self.sight.sms_today.get(customer.id, 0) + 1
        return Order(out=out, certificates=tuple(one.certificate.id for one in owed))

    def _written(
        self, message: str, customer: Customer, owed: list[Owed], channel: Channel, work: Work
    ) -> Outgoing:
        facts = Reminder(
            customer=work.vault.open_text(customer.name_sealed, "customers.name"),
            items=tuple(_item(one, work.at, customer.locale) for one in owed),
        )
        common = {
            "message": message,
            "channel": channel,
            "to": address(work, customer, channel),
            "locale": customer.locale,
            "lane": Lane.REMINDERS,
            "since": work.at - timedelta(days=1),
            "ask": False,
        }
        if channel is Channel.SMS:
            return Outgoing(body=self.voice.sms(facts, customer.locale), **common)  # type: ignore[arg-type]
        letter = self.voice.mail(facts, customer.locale)
        return Outgoing(body=letter.text, html=letter.html, subject=letter.subject, **common)  # type: ignore[arg-type]

    def _resumed(
        self,
        event: ReminderDue | MessageFailed,
        customer: Customer,
        work: Work,
        *,
        ask: bool,
    ) -> Order | Outcome:
        """
        The message was claimed before; if it may have been handed over, its carrier is asked.
        """
        message = work.messages.get(_message_id(event))
        if message.state != "claimed":
            return Done()
        channel = Channel(message.channel)
        owed = self._told(message.id, work)
        until = allowed_from(
            work.at, channel, self.calendar, step=min((one.threshold for one in owed), default=0)
        )
        if until > work.at:
            return Retry(until - work.at, "quiet hours", spends_a_try=False)
        out = self._written(message.id, customer, owed, channel, work)
        claimed = message.claimed_at or work.at
        out = replace(out, ask=ask, since=claimed - timedelta(minutes=5))
        return Order(out=out, certificates=tuple(one.certificate.id for one in owed))

    def _told(self, message: str, work: Work) -> list[Owed]:
        found = []
        for claimed in message_queries.told_by(work, message):
            certificate = work.certificates.get(claimed.certificate)
            found.append(
                Owed(
                    certificate=certificate,
                    policy=self.policies.of(certificate.product),
                    threshold=claimed.threshold,
                )
            )
        return found

    def _instead(self, event: MessageFailed, customer: Customer, work: Work) -> Order | Outcome:
        """
        The message did not arrive: the next channel that was not tried, or the branch calls.
        """
        owed = self._not_in_vain(
            [one for one in self._told(event.message, work) if one.certificate.state == "active"],
            work,
        )
        if not owed:
            return Done()
        claims = [message_queries.Told(one.certificate.id, one.threshold) for one in owed]
        tried = set().union(*message_queries.claimed_channels(work, claims).values())
        left = [channel for channel in owed[0].policy.channels if channel.value not in tried]
        return self._reach(event, customer, owed, left, work, instead_of=event.message)

    # --- carry out ------------------------------------------------------------------------------

    def carry_out(self, order: Order) -> Handed | Failed | Withdrawn:
        with self.store.look() as look:  # asked again just before sending
            look.certificates.load(order.certificates)
            busy = renewal_queries.under_way(look, order.certificates)
            wanted = [
                certificate
                for certificate in map(look.certificates.get, order.certificates)
                if certificate.state == "active" and certificate.id not in busy
            ]
        if not wanted:
            return handed_before(self.carriers, order.out) or Withdrawn("renewed meanwhile")
        return hand_over(self.carriers, order.out)

    def conclude(self, order: Order, answer: Handed | Failed | Withdrawn, work: Work) -> Outcome:
        message = order.out.message
        if isinstance(answer, Withdrawn):
            withdrawn(work, message, answer.why)
        else:
            handed(work, message, answer)
        what = {Handed: "sent", Failed: "failed", Withdrawn: "suppressed"}[type(answer)]
        why = answer.code if isinstance(answer, Failed) else getattr(answer, "why", "")
        for certificate in order.certificates:
            work.decide(
                certificate,
                "reminder",
                what,
                why,
                channel=order.out.channel.value,
                message=message,
            )
        if isinstance(answer, Failed):
            customer = work.messages.get(message).customer
            return Done(emit=(MessageFailed(message=message, customer=customer, code=answer.code),))
        return Done()


def _message_id(event: ReminderDue | MessageFailed) -> str:
    if isinstance(event, MessageFailed):
        return f"{event.message}-2"
    return "M" + hashlib.sha256(event.identity.encode()).hexdigest()[:20]


def _item(one: Owed, now: datetime, locale: str) -> ReminderItem:
    certificate, policy = one.certificate, one.policy
    opens = opens_at(certificate.not_after, policy.window)
    return ReminderItem(
        product=policy.title.en if locale == "en" else policy.title.zh,
        serial_tail=certificate.serial[-6:],
        not_after=certificate.not_after,
        days_left=ladder.days_left(now, certificate.not_after),
        opens_at=opens if opens > now else None,
        closes_at=closes_at(certificate.not_after, policy.window)
        if policy.window.after_days
        else None,
        fee_payable=policy.fee.how is FeeHow.PREPAID,
    )
