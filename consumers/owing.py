"""Decides of which certificates a customer is to be told, on which channel, and when."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from consumers.sending import contact
from renewal.rules import ladder, suppression
from renewal.rules.quiet import Calendar, allowed_from
from renewal.rules.suppression import Contact, Suppression
from renewal.rules.taipei import day_of, start_of
from renewal.rules.window import closes_at
from renewal.store import certificates as certificate_queries
from renewal.store import messages as message_queries
from renewal.store import renewals as renewal_queries
from schema.policy import Channel, FeeHow

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from renewal.cycle import Policies
    from renewal.store.rows import Certificate, Customer, Message
    from renewal.store.work import Work
    from schema.policy import Policy

QUIET = "quiet hours"
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Owed:
    """
    A certificate and the threshold of which its customer is to be told.
    """

    certificate: Certificate
    policy: Policy
    threshold: int


class Route(NamedTuple):
    """
    How the customer is reached: on this channel now, or not before then, or not at all.
    """

    channel: Channel | None = None
    until: datetime | None = None
    why: str = ""
    opted_out: bool = False


class WayOut(NamedTuple):
    """
    Where a reminder can go if the carrier of its channel stays away.
    """

    channel: Channel
    other: Channel
    until: datetime  #: from then on the next step is owed, or nothing any more
    step: int


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
class Owing:
    policies: Policies
    calendar: Calendar
    sight: Sight = field(default_factory=Sight)

    def look(self, customers: Collection[int], work: Work) -> None:
        """
        Read what a batch of events of these customers needs.
        """
        work.customers.load(customers)
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

    # --- of what --------------------------------------------------------------------------------

    def owed(self, customer: Customer, work: Work) -> list[Owed]:
        """
        What the customer is to be told of now, in one message.
        """
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

    def told(self, message: str, work: Work) -> list[Owed]:
        """
        What a message was claimed to tell of.
        """
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

    def not_in_vain(self, owed: Sequence[Owed], work: Work) -> list[Owed]:
        """
        Those that something is to be said of; of the others, why not is put on record.
        """
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

    def still_wanted(self, one: Owed, customer: Customer, channel: Channel, work: Work) -> bool:
        told = work.certificates.get(one.certificate.id).told
        return (
            (told is None or told >= one.threshold)  # else a later one was told meanwhile
            and one.certificate.state == "active"
            and self._why_not(one, work.at) is None
            and not customer.opted_out
            and contact(customer, channel) is Contact.GOOD
        )

    def later_step(self, one: Owed, work: Work) -> int | None:
        """
        A later threshold that has passed while the message waited.
        """
        certificate = work.certificates.get(one.certificate.id)
        return ladder.owed(work.at, certificate.not_after, one.policy, one.threshold)

    def is_the_latest(self, one: Owed, work: Work) -> bool:
        """
        A later threshold, told or owed by now, has a message of its own.
        """
        certificate = work.certificates.get(one.certificate.id)
        if certificate.told is not None and certificate.told < one.threshold:
            return False
        return certificate.state == "active" and self.later_step(one, work) is None

    def is_prepaid(self, certificate: Certificate) -> bool:
        return self.policies.of(certificate.product).fee.how is FeeHow.PREPAID

    # --- on which channel, and when -------------------------------------------------------------

    def route(
        self, customer: Customer, owed: Sequence[Owed], channels: Sequence[Channel], now: datetime
    ) -> Route:
        """
        The first of the channels on which the customer is reached in time.
        """
        why: Suppression | None = Suppression.NO_CONTACT
        step = _step(owed)
        closes = min(closes_at(one.certificate.not_after, one.policy.window) for one in owed)
        later: Route | None = None
        for channel in channels:
            why = suppression.why_not_reached(
                channel=channel,
                opted_out=customer.opted_out,
                contact=contact(customer, channel),
                sms_sent_today=self.sight.sms_today.get(customer.id, 0),
            )
            if why is None or why.defers:
                until = self.free_from(now, channel, step, cap=why is not None)
                if until <= now:
                    return Route(channel)
                later = later or Route(until=until, why=why.value if why else QUIET)
                if until <= closes:
                    break
                # By then it is in vain: another channel may still bring it in time.
            elif not why.next_channel:
                break
        return later or Route(
            why=why.value if why else "no channel is left", opted_out=why is Suppression.OPTED_OUT
        )

    def free_from(self, moment: datetime, channel: Channel, step: int, *, cap: bool) -> datetime:
        since = suppression.cap_ends(moment) if cap else moment
        return allowed_from(since, channel, self.calendar, step=step)

    def again_from(
        self, customer: Customer, owed: Sequence[Owed], since: datetime, now: datetime
    ) -> datetime | None:
        """
        When a text message that did not arrive may be tried again, if that is within a day and
        before the next step.
        """
        if customer.opted_out or contact(customer, Channel.SMS) is not Contact.GOOD:
            return None
        cap = self.sight.sms_today.get(customer.id, 0) >= suppression.SMS_A_DAY
        until = max(since, self.free_from(now, Channel.SMS, _step(owed), cap=cap))
        until = self.free_from(until, Channel.SMS, _step(owed), cap=False)
        return until if until < min(_until(owed, now), since + ONE_DAY) else None

    def resumes(
        self, message: Message, kept: Sequence[Owed], customer: Customer, now: datetime
    ) -> datetime:
        """
        When a message that was claimed before may be handed over.
        """
        channel = Channel(message.channel)
        mine = message.owed_at >= start_of(day_of(now))  # it is counted among today's itself
        others = self.sight.sms_today.get(customer.id, 0) - mine
        cap = channel is Channel.SMS and others >= suppression.SMS_A_DAY
        step = min((one.threshold for one in kept), default=0)
        return self.free_from(now, channel, step, cap=cap)

    def left(self, owed: Sequence[Owed], work: Work) -> list[Channel]:
        """
        The channels on which none of this was told.
        """
        claims = [message_queries.Told(one.certificate.id, one.threshold) for one in owed]
        tried = set().union(*message_queries.claimed_channels(work, claims).values())
        return [channel for channel in owed[0].policy.channels if channel.value not in tried]

    def way_out(
        self,
        customer: Customer,
        owed: Sequence[Owed],
        channel: Channel,
        left: Sequence[Channel],
        now: datetime,
    ) -> WayOut | None:
        """
        The first channel that is left and has an address.
        """
        for other in left:
            if other is not channel and contact(customer, other) is Contact.GOOD:
                return WayOut(channel, other, until=_until(owed, now), step=_step(owed))
        return None

    def is_taken(self, way_out: WayOut, now: datetime, then: datetime, *, patient: bool) -> bool:
        """
        Whether to take the other channel now: it is in time there, and until then it would be
        too late on one of the two.
        """

        def free(moment: datetime, channel: Channel) -> datetime:
            return self.free_from(moment, channel, way_out.step, cap=False)

        if free(now, way_out.other) >= way_out.until:
            return False
        later = max(free(then, way_out.channel), free(then, way_out.other))
        return not patient or later >= way_out.until

    def one_more_text(self, customer: int) -> None:
        self.sight.sms_today[customer] = self.sight.sms_today.get(customer, 0) + 1


def _step(owed: Sequence[Owed]) -> int:
    return min(one.threshold for one in owed)


def _until(owed: Sequence[Owed], now: datetime) -> datetime:
    ends = []
    for one in owed:
        not_after, policy = one.certificate.not_after, one.policy
        following = ladder.next_moment(now, not_after, policy, one.threshold)
        ends.append(following or closes_at(not_after, policy.window))
    return min(ends)
