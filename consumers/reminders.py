"""Reminds customers, once for each threshold, of certificates that will end."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
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
from renewal.cycle import schedule_reminder
from renewal.errors import GatewayUnavailableError
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

    from renewal.cycle import Policies
    from renewal.store.engine import Store
    from renewal.store.rows import Certificate, Customer, Message
    from renewal.store.work import Work
    from schema.policy import Policy
    from templates.voice import Voice

QUIET = "quiet hours"
IN_VAIN = "in vain by now"
#: A carrier that is away so long, a week-end say, spends no try: nothing is lost by waiting.
LONGEST_OUTAGE = timedelta(days=3)
LONGEST_WAIT = timedelta(hours=1)


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
    """
    One message to be handed over.
    """

    out: Outgoing
    certificates: tuple[int, ...]  #: of which it tells
    dropped: tuple[int, ...] = ()  #: of which it was to tell, and must not now
    claimed_at: datetime
    in_vain: str = ""  #: why nothing of it is to be told any more; an earlier attempt may have


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
        *,
        instead_of: str | None = None,
    ) -> Order | Outcome:
        why: Suppression | None = Suppression.NO_CONTACT
        step = min(one.threshold for one in owed)
        closes = min(closes_at(one.certificate.not_after, one.policy.window) for one in owed)
        later: tuple[datetime, str] | None = None
        for channel in channels:
            why = suppression.why_not_reached(
                channel=channel,
                opted_out=customer.opted_out,
                contact=contact(customer, channel),
                sms_sent_today=self.sight.sms_today.get(customer.id, 0),
            )
            if why is None or why.defers:
                until = self._free_from(work.at, channel, step, cap=why is not None)
                if until <= work.at:
                    return self._send(event, customer, owed, channel, work, instead_of=instead_of)
                later = later or (until, why.value if why else QUIET)
                if until <= closes:
                    break
                # By then it is in vain: another channel may still bring it in time.
            elif not why.next_channel:
                break
        if later is not None:
            return self._put_off(owed, *later, work, event)
        return self._unreached(owed, why, work, instead_of)

    def _free_from(self, moment: datetime, channel: Channel, step: int, *, cap: bool) -> datetime:
        since = suppression.cap_ends(moment) if cap else moment
        return allowed_from(since, channel, self.calendar, step=step)

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
        *,
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
        return Order(
            out=out,
            certificates=tuple(one.certificate.id for one in owed),
            claimed_at=work.at,
        )

    def _written(
        self, message: str, customer: Customer, owed: list[Owed], channel: Channel, work: Work
    ) -> Outgoing:
        facts = Reminder(
            customer=work.vault.open_text(customer.name_sealed, "customers.name"),
            items=tuple(_item(one, work.at, customer.locale) for one in owed),
        )
        letter = self.voice.mail(facts, customer.locale) if channel is Channel.MAIL else None
        return Outgoing(
            message=message,
            channel=channel,
            to=address(work, customer, channel),
            body=letter.text if letter else self.voice.sms(facts, customer.locale),
            subject=letter.subject if letter else "",
            html=letter.html if letter else None,
            locale=customer.locale,
            lane=Lane.REMINDERS,
            since=work.at - timedelta(days=1),
            ask=False,
        )

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

        It tells what is true now, and of what is still to be told.
        """
        message = work.messages.get(_message_id(event))
        if message.state != "claimed":
            return Done()
        channel, claimed_at = Channel(message.channel), message.claimed_at or work.at
        told = self._told(message.id, work)
        kept = [one for one in told if self._still_wanted(one, customer, channel, work)]
        if not ask:  # else it may have been sent as it was: then it has told of nothing later
            kept = [self._most_urgent(one, message, work) for one in kept]
        until = self._resumes(message, kept, customer, work)
        if kept and until > work.at:
            return Retry(until - work.at, QUIET, spends_a_try=False)
        if not kept and (not ask or contact(customer, channel) is Contact.NONE):
            # Without an address nothing is known any more by which a carrier could be asked.
            self._withdraw(message.id, [one.certificate.id for one in told], IN_VAIN, work)
            return Done()
        out = self._written(message.id, customer, kept or told, channel, work)
        here = {one.certificate.id for one in kept}
        gone = tuple(one.certificate.id for one in told if one.certificate.id not in here)
        return Order(
            out=replace(out, ask=ask, since=claimed_at - timedelta(minutes=5)),
            certificates=tuple(here),
            dropped=gone,
            claimed_at=claimed_at,
            in_vain="" if kept else IN_VAIN,
        )

    def _still_wanted(self, one: Owed, customer: Customer, channel: Channel, work: Work) -> bool:
        told = work.certificates.get(one.certificate.id).told
        return (
            (told is None or told >= one.threshold)  # else a later one was told meanwhile
            and one.certificate.state == "active"
            and self._why_not(one, work.at) is None
            and not customer.opted_out
            and contact(customer, channel) is Contact.GOOD
        )

    def _most_urgent(self, one: Owed, message: Message, work: Work) -> Owed:
        """
        The message tells of a later threshold too, if one has passed while it waited.
        """
        certificate = work.certificates.get(one.certificate.id)
        step = ladder.owed(work.at, certificate.not_after, one.policy, one.threshold)
        if step is None:
            return one
        told = message_queries.claim(certificate.id, step, message.channel, message.id)
        message_queries.write_claims(work, [told])
        certificate = work.certificates.change(certificate, told=step)
        work.decide(
            certificate.id,
            "reminder",
            "claimed",
            threshold=step,
            channel=message.channel,
            message=message.id,
        )
        return replace(one, certificate=certificate, threshold=step)

    def _resumes(
        self, message: Message, kept: Sequence[Owed], customer: Customer, work: Work
    ) -> datetime:
        channel = Channel(message.channel)
        mine = message.owed_at >= start_of(day_of(work.at))  # it is counted among today's itself
        others = self.sight.sms_today.get(customer.id, 0) - mine
        cap = channel is Channel.SMS and others >= suppression.SMS_A_DAY
        step = min((one.threshold for one in kept), default=0)
        return self._free_from(work.at, channel, step, cap=cap)

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
        told = self._told(event.message, work)
        owed = self._not_in_vain([one for one in told if self._is_the_latest(one, work)], work)
        if not owed:
            return Done()
        claims = [message_queries.Told(one.certificate.id, one.threshold) for one in owed]
        tried = set().union(*message_queries.claimed_channels(work, claims).values())
        left = [channel for channel in owed[0].policy.channels if channel.value not in tried]
        return self._reach(event, customer, owed, left, work, instead_of=event.message)

    def _is_the_latest(self, one: Owed, work: Work) -> bool:
        """
        A later threshold, told or owed by now, has a message of its own.
        """
        certificate = work.certificates.get(one.certificate.id)
        if certificate.told is not None and certificate.told < one.threshold:
            return False
        later = ladder.owed(work.at, certificate.not_after, one.policy, one.threshold)
        return certificate.state == "active" and later is None

    # --- carry out ------------------------------------------------------------------------------

    def carry_out(self, order: Order) -> Handed | Failed | Withdrawn | Retry:
        wanted, now = self._wanted(order)  # asked again just before sending
        if len(wanted) < len(order.certificates) or order.in_vain:
            before = handed_before(self.carriers, order.out)
            if before is None and wanted:
                return Retry(timedelta(0), "one of them is in vain now", spends_a_try=False)
            return before or Withdrawn(order.in_vain or "renewed meanwhile")
        try:
            return hand_over(self.carriers, order.out)
        except GatewayUnavailableError as error:
            waited = now - order.claimed_at
            if not error.spends_a_try or waited > LONGEST_OUTAGE:
                raise
            after = min(max(error.retry_after, waited / 4), LONGEST_WAIT)
            return Retry(after, str(error), spends_a_try=False)

    def _wanted(self, order: Order) -> tuple[set[int], datetime]:
        with self.store.look() as look:
            look.certificates.load(order.certificates)
            found = [look.certificates.get(key) for key in order.certificates]
            busy = renewal_queries.under_way(look, order.certificates)
            if any(self._is_prepaid(one) for one in found):
                busy |= renewal_queries.paid_for(look, order.certificates)
        return {one.id for one in found if one.state == "active"} - busy, look.at

    def _is_prepaid(self, certificate: Certificate) -> bool:
        return self.policies.of(certificate.product).fee.how is FeeHow.PREPAID

    def preload_orders(self, orders: Sequence[Order], work: Work) -> None:
        work.messages.load(order.out.message for order in orders)

    def conclude(self, order: Order, answer: Handed | Failed | Withdrawn, work: Work) -> Outcome:
        message = order.out.message
        if isinstance(answer, Withdrawn):
            self._withdraw(message, (*order.certificates, *order.dropped), answer.why, work)
            return Done()
        handed(work, message, answer)
        if not (isinstance(answer, Handed) and answer.before):
            self._take_back(message, order.dropped, work)
            if order.out.ask:
                self._now_told(message, order.certificates, work)
        failed = answer.code if isinstance(answer, Failed) else None
        what = "sent" if failed is None else "failed"
        _decide(work, order.certificates, what, failed or "", message)
        if failed is None:
            return Done()
        customer = work.messages.get(message).customer
        return Done(emit=(MessageFailed(message=message, customer=customer, code=failed),))

    def _now_told(self, message: str, certificates: Sequence[int], work: Work) -> None:
        row = work.messages.get(message)
        for one in self._told(message, work):
            latest = one.certificate.told == one.threshold
            if latest and one.certificate.id in certificates:
                self._most_urgent(one, row, work)

    def _withdraw(self, message: str, certificates: Sequence[int], why: str, work: Work) -> None:
        withdrawn(work, message, why)
        _decide(work, certificates, "suppressed", why, message)
        self._take_back(message, certificates, work)

    def _take_back(self, message: str, certificates: Sequence[int], work: Work) -> None:
        """
        What the message was to tell, and never told, is owed again once nothing speaks against it.
        """
        for claimed in message_queries.withdraw_claims(work, message, certificates):
            certificate = work.certificates.get(claimed.certificate)
            if certificate.told != claimed.threshold:
                continue  # a later one was told
            policy = self.policies.of(certificate.product)
            before = min((s for s in policy.ladder if s > claimed.threshold), default=None)
            certificate = work.certificates.change(certificate, told=before)
            if certificate.state == "active":
                schedule_reminder(work, certificate, self.policies)


def _decide(work: Work, certificates: Sequence[int], what: str, why: str, message: str) -> None:
    channel = work.messages.get(message).channel
    for certificate in certificates:
        work.decide(certificate, "reminder", what, why, channel=channel, message=message)


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
