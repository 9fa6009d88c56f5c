"""Decides on which channel a customer is reached, and when."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from consumers.sending import contact, counts_today
from renewal.rules import ladder, suppression
from renewal.rules.quiet import Calendar, allowed_from
from renewal.rules.suppression import Contact, Suppression
from renewal.rules.taipei import day_of, start_of
from renewal.rules.window import closes_at
from renewal.store import messages as message_queries
from renewal.store.messages import Texts
from schema.policy import Channel

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from consumers.owing import Owed
    from renewal.store.rows import Customer, Message
    from renewal.store.work import Work

QUIET = "quiet hours"
ONE_DAY = timedelta(days=1)
#: Between the moment until which a reminder is put off and its being sent: the scheduler's next
#: look, a batch before it, a carrier that takes a pause.
TO_SEND = timedelta(hours=2)


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
class Routes:
    """
    Within the hours and days in which each channel may be used, and so many texts a day.
    """

    calendar: Calendar
    _texts: dict[int, Texts] = field(default_factory=dict)  # of today, by customer

    def look(self, customers: Collection[int], work: Work) -> None:
        """
        Read what a batch of events of these customers needs.
        """
        self._texts = message_queries.texts_since(work, customers, start_of(day_of(work.at)))

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
                sms_sent_today=self._counted(customer, owed, now, step_ends(owed, now)),
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
        end = min(step_ends(owed, now), since + ONE_DAY)
        cap = self._counted(customer, owed, now, end) >= suppression.SMS_A_DAY
        until = max(since, self.free_from(now, Channel.SMS, _step(owed), cap=cap))
        until = self.free_from(until, Channel.SMS, _step(owed), cap=False)
        return until if until < end else None

    def resumes(
        self, message: Message, kept: Sequence[Owed], customer: Customer, now: datetime
    ) -> datetime:
        """
        When a message that was claimed before may be handed over.
        """
        channel = Channel(message.channel)
        counted = self._counted(customer, kept, now, step_ends(kept, now))
        others = counted - counts_today(message, now)
        cap = channel is Channel.SMS and others >= suppression.SMS_A_DAY
        return self.free_from(now, channel, _step(kept), cap=cap)

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
                return WayOut(channel, other, until=step_ends(owed, now), step=_step(owed))
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
        today = self._texts.get(customer, Texts())
        self._texts[customer] = today._replace(reminders=today.reminders + 1)

    def _counted(
        self, customer: Customer, owed: Sequence[Owed], now: datetime, end: datetime
    ) -> int:
        """
        The texts of today that this one may not be added to.

        A notice that was first puts a reminder off until tomorrow, but not past its ``end``.
        """
        today = self._texts.get(customer.id, Texts())
        if today.notices:
            tomorrow = self.free_from(now, Channel.SMS, _step(owed), cap=True)
            if tomorrow + TO_SEND <= end:
                return today.reminders + today.notices
        return today.reminders


def _step(owed: Sequence[Owed]) -> int:
    return min(one.threshold for one in owed)


def step_ends(owed: Sequence[Owed], now: datetime) -> datetime:
    """
    When the first of their next steps passes, or window closes.
    """
    ends = []
    for one in owed:
        not_after, policy = one.certificate.not_after, one.policy
        following = ladder.next_moment(now, not_after, policy, one.threshold)
        ends.append(following or closes_at(not_after, policy.window))
    return min(ends)
