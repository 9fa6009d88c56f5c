"""Reminds customers, once for each threshold, of certificates that will end."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from consumers import thresholds
from consumers.owing import Owed, Owing
from consumers.routes import QUIET, Routes, WayOut, step_ends
from consumers.sending import (
    AWAY,
    Carriers,
    Failed,
    Handed,
    Outgoing,
    claim,
    contact,
    goes_today,
    hand_over,
    handed,
    handed_before,
)
from consumers.wording import earlier_texts, written
from renewal.errors import GatewayUnavailableError
from renewal.gateways.sms.errors import Again, follows
from renewal.outcome import Done, IfInterrupted, Outcome, Retry
from renewal.rules.suppression import Contact
from renewal.store import renewals as renewal_queries
from schema.events import Event, MessageFailed, ReminderDue, Topic
from schema.policy import Channel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from renewal.cycle import Policies
    from renewal.rules.quiet import Calendar
    from renewal.store.engine import Store
    from renewal.store.rows import Customer, Message
    from renewal.store.work import Work
    from templates.voice import Voice

IN_VAIN = "in vain by now"
#: A carrier that is away so long, a week-end say, is waited for as long as there is time; then
#: the reminder takes another channel or, where there is none, each try counts.
LONGEST_OUTAGE = timedelta(days=3)
LONGEST_WAIT = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Order:
    """
    One message to be handed over.
    """

    out: Outgoing
    certificates: tuple[int, ...]  #: of which it tells
    dropped: tuple[int, ...] = ()  #: of which it was to tell, and must not now
    claimed_at: datetime
    way_out: WayOut | None = None  #: another channel, should the carrier stay away
    in_vain: str = ""  #: why nothing of it is to be told any more; an earlier attempt may have


@dataclass(frozen=True)
class Withdrawn:
    """
    Not sent: it would be in vain now.
    """

    why: str


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
    owing: Owing = field(init=False)
    routes: Routes = field(init=False)

    def __post_init__(self) -> None:
        self.owing = Owing(policies=self.policies)
        self.routes = Routes(calendar=self.calendar)

    def preload(self, events: Sequence[ReminderDue | MessageFailed], work: Work) -> None:
        failed = [event.message for event in events if isinstance(event, MessageFailed)]
        before = [one for message in failed for one in _before(message)]
        work.messages.load([*map(_message_id, events), *before])
        customers = {event.customer for event in events}
        self.owing.look(customers, work)
        self.routes.look(customers, work)

    # --- prepare --------------------------------------------------------------------------------

    def prepare(
        self, event: ReminderDue | MessageFailed, work: Work, *, again: bool
    ) -> Order | Outcome:
        customer = work.customers.get(event.customer)
        if work.messages.find(_message_id(event)) is not None:
            return self._resumed(event, customer, work, ask=again)
        if isinstance(event, MessageFailed):
            return self._instead(event, customer, work)
        owed = self.owing.owed(customer, work)
        if event.certificate not in {one.certificate.id for one in owed}:
            return Done()  # told with another certificate's, or nothing is owed any more
        owed = self.owing.not_in_vain(owed, work)
        if not owed:
            return Done()
        return self._reach(event, customer, owed, owed[0].policy.channels, work)

    def _instead(self, event: MessageFailed, customer: Customer, work: Work) -> Order | Outcome:
        """
        The message did not arrive: the next channel that was not tried, or the branch calls.
        """
        failed = work.messages.find(event.message)
        if failed is None or failed.state == "delivered":
            return Done()  # nothing was heard of it for long, and then that it has arrived
        told = self.owing.told(event.message, work)
        latest = [one for one in told if self.owing.is_the_latest(one, work)]
        owed = self.owing.not_in_vain(latest, work)
        if not owed:
            return Done()
        again = self._again(event, failed, customer, owed, work)
        return again or self._reach(event, customer, owed, self.routes.left(owed, work), work)

    def _again(
        self,
        event: MessageFailed,
        failed: Message,
        customer: Customer,
        owed: list[Owed],
        work: Work,
    ) -> Order | Retry | None:
        """
        A phone that was off gets the text message again, later and not often, if there is time.
        """
        follow = follows(event.code)
        before = [work.messages.find(one) for one in _before(event.message)]
        texts = [one for one in before if one is not None and one.channel == Channel.SMS]
        if follow.again is not Again.LATER or failed.channel != Channel.SMS:
            return None
        since = (failed.ended_at or work.at) + follow.again_after
        until = self.routes.again_from(customer, owed, since, work.at)
        if until is None or len(texts) > follow.at_most:
            return None
        if until > work.at:
            return Retry(until - work.at, "the phone was off", spends_a_try=False)
        left = [Channel.SMS, *self.routes.left(owed, work)]
        return self._send(event, customer, owed, Channel.SMS, work, left=left)

    def _reach(
        self,
        event: ReminderDue | MessageFailed,
        customer: Customer,
        owed: list[Owed],
        channels: Sequence[Channel],
        work: Work,
    ) -> Order | Outcome:
        route = self.routes.route(customer, owed, channels, work.at)
        if route.channel is not None:
            return self._send(event, customer, owed, route.channel, work, left=channels)
        if route.until is None:
            thresholds.unreached(work, owed, route, at_first=isinstance(event, ReminderDue))
            return Done()
        if isinstance(event, MessageFailed):
            return Retry(route.until - work.at, route.why, spends_a_try=False)
        thresholds.put_off(work, owed, route.until, route.why)
        return Done()

    def _send(
        self,
        event: ReminderDue | MessageFailed,
        customer: Customer,
        owed: list[Owed],
        channel: Channel,
        work: Work,
        *,
        left: Sequence[Channel],
    ) -> Order:
        failed = event.message if isinstance(event, MessageFailed) else None
        # What is owed besides goes along: it would find the day's text gone.
        besides = self.owing.besides(customer, work) if failed else []
        every = [*owed, *besides]
        out = self._written(_message_id(event), customer, every, channel, work)
        claim(work, out, kind="reminder", customer=customer.id, instead_of=failed)
        mine = event.certificate if isinstance(event, ReminderDue) else owed[0].certificate.id
        message, before = work.messages.get(out.message), work.messages.find(failed or "")
        if before is not None and before.channel == channel:
            thresholds.claim_again(work, owed, before.id, message)
            thresholds.claim(work, besides, message, mine=mine)
        else:
            thresholds.claim(work, every, message, mine=mine)
        if channel is Channel.SMS:
            self.routes.one_more_text(customer.id)
        return Order(
            out=out,
            certificates=tuple(one.certificate.id for one in every),
            claimed_at=work.at,
            way_out=self.routes.way_out(customer, every, channel, left, work.at),
        )

    def _written(
        self, message: str, customer: Customer, owed: list[Owed], channel: Channel, work: Work
    ) -> Outgoing:
        return written(message, customer, owed, channel, voice=self.voice, work=work)

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
        told = self.owing.told(message.id, work)
        kept = [one for one in told if self.owing.still_wanted(one, customer, channel, work)]
        if not ask:  # else it may have been sent as it was: then it has told of nothing later
            kept = [self._most_urgent(one, message.id, work) for one in kept]
        # And if it was not, it tells of the latest step: that may be urgent enough to go at once.
        steps = [self._at_its_latest(one, work) for one in kept]
        until = self.routes.resumes(message, steps, customer, work.at) if kept else work.at
        way_out = self._way_out(customer, kept, channel, work)
        if until > work.at:
            if not ask and self._is_taken(way_out, work.at, until):
                return self._given_up(message.id, [one.certificate.id for one in kept], work)
            until = min(until, step_ends(steps, work.at))  # it is looked at again then
            return Retry(until - work.at, QUIET, spends_a_try=False)
        if not kept and (not ask or contact(customer, channel) is Contact.NONE):
            # Without an address nothing is known any more by which a carrier could be asked.
            ids = [one.certificate.id for one in told]
            thresholds.withdraw(work, message.id, ids, IN_VAIN, self.policies)
            return Done()
        if channel is Channel.SMS and goes_today(work, message):
            self.routes.one_more_text(customer.id)
        out = self._written(message.id, customer, kept or told, channel, work)
        here = {one.certificate.id for one in kept}
        gone = tuple(one.certificate.id for one in told if one.certificate.id not in here)
        return Order(
            out=replace(
                out,
                ask=ask,
                since=claimed_at - timedelta(minutes=5),
                earlier=self._earlier(message, customer, told, kept, work) if ask else (),
            ),
            certificates=tuple(here),
            dropped=gone,
            claimed_at=claimed_at,
            way_out=way_out,
            in_vain="" if kept else IN_VAIN,
        )

    def _earlier(
        self, message: Message, customer: Customer, told: list[Owed], kept: list[Owed], work: Work
    ) -> tuple[str, ...]:
        """
        What an attempt whose end is not known may have said: of all, or of those still wanted.
        """
        if Channel(message.channel) is not Channel.SMS:
            return ()
        whole = list({one.certificate.id: one for one in told}.values())
        since = message.claimed_at or work.at
        found: list[str] = []
        for owed in filter(None, (whole, kept)):
            found += earlier_texts(customer, owed, since=since, voice=self.voice, work=work)
        return tuple(found)

    def _way_out(
        self, customer: Customer, kept: list[Owed], channel: Channel, work: Work
    ) -> WayOut | None:
        if not kept:
            return None
        left = self.routes.left(kept, work)
        return self.routes.way_out(customer, kept, channel, left, work.at)

    def _at_its_latest(self, one: Owed, work: Work) -> Owed:
        step = self.owing.later_step(one, work)
        return one if step is None else replace(one, threshold=step)

    def _most_urgent(self, one: Owed, message: str, work: Work) -> Owed:
        step = self.owing.later_step(one, work)
        if step is None:
            return one
        return thresholds.claim_later(work, one, step, work.messages.get(message))

    # --- carry out ------------------------------------------------------------------------------

    def carry_out(self, order: Order) -> Handed | Failed | Withdrawn | Retry:
        wanted, now = self._wanted(order)  # asked again just before sending
        if len(wanted) < len(order.certificates) or order.in_vain:
            before = handed_before(self.carriers, order.out)
            if before is None and wanted:
                return Retry(timedelta(0), "one of them is in vain now", spends_a_try=False)
            return before or Withdrawn(order.in_vain or "renewed meanwhile")
        try:
            before = handed_before(self.carriers, order.out)
        except GatewayUnavailableError as error:  # it may have been handed over: no other channel
            return self._away(order, error, now, None)
        if before is not None:
            return before
        try:
            return hand_over(self.carriers, replace(order.out, ask=False))
        except GatewayUnavailableError as error:  # it was not, neither now nor before
            return self._away(order, error, now, order.way_out)

    def _away(
        self, order: Order, error: GatewayUnavailableError, now: datetime, way_out: WayOut | None
    ) -> Failed | Retry:
        """
        The carrier is tried again as long as there is time, and then another one.

        Raises:
            GatewayUnavailableError: there is no other; from now on it spends tries.
        """
        waited = now - order.claimed_at
        after = min(max(error.retry_after, waited / 4), LONGEST_WAIT)
        patient = waited <= LONGEST_OUTAGE or not error.spends_a_try
        if self._is_taken(way_out, now, now + after, patient=patient):
            return Failed(AWAY)
        if patient and error.spends_a_try:
            return Retry(after, str(error), spends_a_try=False)
        raise error

    def _is_taken(
        self, way_out: WayOut | None, now: datetime, then: datetime, *, patient: bool = True
    ) -> bool:
        return way_out is not None and self.routes.is_taken(way_out, now, then, patient=patient)

    def _wanted(self, order: Order) -> tuple[set[int], datetime]:
        with self.store.look() as look:
            look.certificates.load(order.certificates)
            found = [look.certificates.get(key) for key in order.certificates]
            busy = renewal_queries.under_way(look, order.certificates)
            if any(self.owing.is_prepaid(one) for one in found):
                busy |= renewal_queries.paid_for(look, order.certificates)
        return {one.id for one in found if one.state == "active"} - busy, look.at

    # --- conclude -------------------------------------------------------------------------------

    def preload_orders(self, orders: Sequence[Order], work: Work) -> None:
        work.messages.load(order.out.message for order in orders)

    def conclude(self, order: Order, answer: Handed | Failed | Withdrawn, work: Work) -> Outcome:
        message = order.out.message
        if isinstance(answer, Withdrawn):
            ids = (*order.certificates, *order.dropped)
            thresholds.withdraw(work, message, ids, answer.why, self.policies)
            return Done()
        if isinstance(answer, Failed) and work.messages.get(message).state != "claimed":
            return Done()  # its carrier has said meanwhile what became of it
        handed(work, message, answer, order.out.address_hash)
        if not (isinstance(answer, Handed) and answer.before):
            thresholds.take_back(work, message, order.dropped, self.policies)
            if order.out.ask:
                self._now_told(message, order.certificates, work)
        if isinstance(answer, Handed):
            thresholds.decide(work, order.certificates, "sent", "", message)
            return Done()
        return self._said_failed(message, order.certificates, answer.code, work)

    def _given_up(self, message: str, certificates: Sequence[int], work: Work) -> Done:
        """
        It was not handed over, and by the next decent hour it would be too late.
        """
        handed(work, message, Failed(AWAY))
        return self._said_failed(message, certificates, AWAY, work)

    def _said_failed(
        self, message: str, certificates: Sequence[int], code: str, work: Work
    ) -> Done:
        thresholds.decide(
            work, certificates, "carrier away" if code == AWAY else "failed", code, message
        )
        customer = work.messages.get(message).customer
        return Done(emit=(MessageFailed(message=message, customer=customer, code=code),))

    def _now_told(self, message: str, certificates: Sequence[int], work: Work) -> None:
        for one in self.owing.told(message, work):
            latest = one.certificate.told == one.threshold
            if latest and one.certificate.id in certificates:
                self._most_urgent(one, message, work)


def _message_id(event: ReminderDue | MessageFailed) -> str:
    if isinstance(event, MessageFailed):
        return f"{event.message}-2"
    return "M" + hashlib.sha256(event.identity.encode()).hexdigest()[:20]


def _before(message: str) -> list[str]:
    """
    The message and those that it came instead of.
    """
    first, *more = message.split("-")
    return ["-".join((first, *more[:number])) for number in range(len(more) + 1)]
