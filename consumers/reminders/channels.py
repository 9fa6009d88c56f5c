"""Selects the channel and the moment for a reminder."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from consumers.outbound import contact, counts_today
from renewal.rules import reminder_schedule, suppression
from renewal.rules.contact_hours import Calendar, allowed_from
from renewal.rules.suppression import Contact, Suppression
from renewal.rules.window import closes_at
from renewal.store import messages as message_queries
from renewal.store.messages import TextCounts
from schema.policy import Channel
from schema.reasons import DeferralReason, SuppressionReason
from schema.taipei import day_of, start_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from consumers.reminders.due import DueReminder
    from renewal.db.rows import Customer, Message
    from renewal.db.unit_of_work import UnitOfWork
    from schema.reasons import ReasonCode

ONE_DAY = timedelta(days=1)
#: Between the moment until which a reminder is put off and its being sent: the scheduler's next
#: look, a batch before it, a carrier that takes a pause.
SEND_MARGIN = timedelta(hours=2)


class Route(NamedTuple):
    """How to reach the customer: on this channel now, not before then, or not at all."""

    channel: Channel | None = None
    until: datetime | None = None
    why: ReasonCode | None = None
    opted_out: bool = False


class Fallback(NamedTuple):
    """The other channel of a reminder whose carrier is away."""

    channel: Channel
    other: Channel
    until: datetime  #: from then on the next step is owed, or nothing any more
    step: int


@dataclass(kw_only=True)
class ChannelSelector:
    """Selects channels within contact hours and the daily cap of text messages."""

    calendar: Calendar
    _texts: dict[int, TextCounts] = field(default_factory=dict)  # of today, by customer
    _sharing: dict[int, frozenset[int]] = field(default_factory=dict)  # who have one's number
    _due: frozenset[int] = frozenset()  # of those, who has something to renew

    def preload(self, customers: Collection[int], work: UnitOfWork) -> None:
        """Read what a batch of events of these customers needs."""
        self._texts = message_queries.texts_since(work, customers, start_of(day_of(work.at)))
        self._sharing = message_queries.same_mobile(work, customers)
        every = {one for group in self._sharing.values() for one in group}
        self._due = message_queries.in_their_window(work, every)

    def stands_for_others(self, customer: int) -> bool:
        """Whether others with the same number have something to renew, too."""
        return bool(self._sharing.get(customer, frozenset()) & self._due - {customer})

    def route(
        self,
        customer: Customer,
        owed: Sequence[DueReminder],
        channels: Sequence[Channel],
        now: datetime,
    ) -> Route:
        """The first channel that reaches the customer in time."""
        why: Suppression | None = Suppression.NO_CONTACT
        step = _step(owed)
        closes = min(closes_at(one.certificate.not_after, one.policy.window) for one in owed)
        later: Route | None = None
        for channel in channels:
            why = suppression.why_not_reached(
                channel=channel,
                opted_out=customer.opted_out,
                contact=contact(customer, channel, now),
                sms_sent_today=self._counted(customer, owed, now, step_ends(owed, now)),
            )
            if why is None or why.defers:
                until = self.free_from(now, channel, step, cap=why is not None)
                if until <= now:
                    return Route(channel)
                later = later or Route(
                    until=until, why=why.value if why else DeferralReason.QUIET_HOURS
                )
                by_others = why is not None and self._is_taken_by_others(customer)
                if until <= closes and not by_others:
                    break
                # By then it is in vain: another channel may still bring it in time.
            elif not why.next_channel:
                break
        return later or Route(
            why=why.value if why else SuppressionReason.NO_CHANNEL_LEFT,
            opted_out=why is Suppression.OPTED_OUT,
        )

    def free_from(self, moment: datetime, channel: Channel, step: int, *, cap: bool) -> datetime:
        since = suppression.cap_ends(moment) if cap else moment
        return allowed_from(since, channel, self.calendar, step=step)

    def resend_from(
        self, customer: Customer, owed: Sequence[DueReminder], since: datetime, now: datetime
    ) -> datetime | None:
        """
        When an undelivered text message may be sent again, within a day and before the next step.
        """
        if customer.opted_out or contact(customer, Channel.SMS, now) is not Contact.GOOD:
            return None
        end = min(step_ends(owed, now), since + ONE_DAY)
        cap = self._counted(customer, owed, now, end) >= suppression.SMS_A_DAY
        until = max(since, self.free_from(now, Channel.SMS, _step(owed), cap=cap))
        until = self.free_from(until, Channel.SMS, _step(owed), cap=False)
        return until if until < end else None

    def resumes(
        self, message: Message, kept: Sequence[DueReminder], customer: Customer, now: datetime
    ) -> datetime:
        """When a message that was claimed before may be sent."""
        channel = Channel(message.channel)
        counted = self._counted(customer, kept, now, step_ends(kept, now))
        others = counted - counts_today(message, now)
        cap = channel is Channel.SMS and others >= suppression.SMS_A_DAY
        return self.free_from(now, channel, _step(kept), cap=cap)

    def untried(self, owed: Sequence[DueReminder], work: UnitOfWork) -> list[Channel]:
        """The channels on which none of these thresholds was claimed."""
        claims = [
            message_queries.ClaimedThreshold(one.certificate.id, one.threshold) for one in owed
        ]
        tried = set().union(*message_queries.claimed_channels(work, claims).values())
        return [channel for channel in owed[0].policy.channels if channel.value not in tried]

    def fallback(
        self,
        customer: Customer,
        owed: Sequence[DueReminder],
        channel: Channel,
        left: Sequence[Channel],
        now: datetime,
    ) -> Fallback | None:
        """The first untried channel with a usable address."""
        for other in left:
            if other is not channel and contact(customer, other, now) is Contact.GOOD:
                return Fallback(channel, other, until=step_ends(owed, now), step=_step(owed))
        return None

    def should_switch(
        self, way_out: Fallback | None, now: datetime, then: datetime, *, patient: bool = True
    ) -> bool:
        """
        Whether to switch to the other channel now: it is in time there, and waiting longer would be
        too late on one of the two.
        """
        if way_out is None:
            return False

        def free(moment: datetime, channel: Channel) -> datetime:
            return self.free_from(moment, channel, way_out.step, cap=False)

        if free(now, way_out.other) >= way_out.until:
            return False
        later = max(free(then, way_out.channel), free(then, way_out.other))
        return not patient or later >= way_out.until

    def count_text(self, customer: int) -> None:
        today = self._texts.get(customer, TextCounts())
        self._texts[customer] = today._replace(reminders=today.reminders + 1)
        for other in self._sharing.get(customer, frozenset()) - {customer}:
            today = self._texts.get(other, TextCounts())
            self._texts[other] = today._replace(others=today.others + 1)

    def _is_taken_by_others(self, customer: Customer) -> bool:
        """
        Whether the day's text to this number has told another customer's: this one gets a mail.
        """
        today = self._texts.get(customer.id, TextCounts())
        return today.others > 0 and not (today.reminders or today.notices)

    def _counted(
        self, customer: Customer, owed: Sequence[DueReminder], now: datetime, end: datetime
    ) -> int:
        """
        Today's text messages that leave no room for this one.

        A notice sent first delays a reminder until tomorrow, but not past its ``end``.
        """
        today = self._texts.get(customer.id, TextCounts())
        if today.notices:
            tomorrow = self.free_from(now, Channel.SMS, _step(owed), cap=True)
            if tomorrow + SEND_MARGIN <= end:
                return today.reminders + today.notices + today.others
        return today.reminders + today.others


def _step(owed: Sequence[DueReminder]) -> int:
    return min(one.threshold for one in owed)


def step_ends(owed: Sequence[DueReminder], now: datetime) -> datetime:
    """When the first of their next steps is due, or a window closes."""
    ends = []
    for one in owed:
        not_after, policy = one.certificate.not_after, one.policy
        following = reminder_schedule.next_moment(now, not_after, policy, one.threshold)
        ends.append(following or closes_at(not_after, policy.window))
    return min(ends)
