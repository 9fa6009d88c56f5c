"""Chooses by which channel a reminder goes, claims it, and writes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from consumers.outbound import claim
from consumers.reminders import claims
from consumers.reminders.first_days import most_urgent_first
from consumers.reminders.message import render_reminder
from consumers.reminders.orders import SendReminder, message_id, with_earlier
from renewal.gateways.sms.errors import Resend, action_for
from renewal.outcome import Done, Outcome, Retry
from renewal.rules.window import closes_at
from schema.events import MessageFailed, ReminderDue
from schema.policy import Channel
from schema.reasons import DeferralReason
from schema.states import MessageState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from consumers.outbound import OutboundMessage
    from consumers.reminders.channels import ChannelSelector
    from consumers.reminders.due import DueReminder, DueReminders
    from consumers.reminders.first_days import FirstDaysQuota
    from renewal.db.rows import Customer, Message
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.contact_hours import Calendar
    from templates.rendering import MessageRenderer


@dataclass(frozen=True, kw_only=True)
class ReminderRouting:
    due: DueReminders
    channels: ChannelSelector
    renderer: MessageRenderer
    calendar: Calendar
    quota: FirstDaysQuota

    def replaced(
        self, event: MessageFailed, customer: Customer, work: UnitOfWork
    ) -> SendReminder | Outcome:
        """The message was not delivered: use the next untried channel, or have the branch call."""
        failed = work.messages.find(event.message)
        if failed is None or failed.state == MessageState.DELIVERED:
            return Done()  # nothing was heard of it for long, and then that it has arrived
        claimed = self.due.claimed(event.message, work)
        latest = [one for one in claimed if self.due.is_the_latest(one, work)]
        owed = self.due.drop_moot(latest, work)
        if not owed:
            return Done()
        resent = self._resent(event, failed, customer, owed, work)
        return resent or self.reached(
            event, customer, owed, self.channels.untried(owed, work), work
        )

    def _resent(
        self,
        event: MessageFailed,
        failed: Message,
        customer: Customer,
        owed: list[DueReminder],
        work: UnitOfWork,
    ) -> SendReminder | Retry | None:
        """A phone that was off gets the text message again, later and not often, if time allows."""
        follow = action_for(event.code)
        before = [work.messages.find(one) for one in with_earlier(event.message)]
        texts = [one for one in before if one is not None and one.channel == Channel.SMS]
        if follow.again is not Resend.LATER or failed.channel != Channel.SMS:
            return None
        since = (failed.ended_at or work.at) + follow.again_after
        until = self.channels.resend_from(customer, owed, since, work.at)
        if until is None or len(texts) > follow.at_most:
            return None
        if until > work.at:
            return Retry(until - work.at, DeferralReason.PHONE_OFF.why(), spends_a_try=False)
        left = [Channel.SMS, *self.channels.untried(owed, work)]
        return self._send(event, customer, owed, Channel.SMS, work, left=left)

    def reached(
        self,
        event: ReminderDue | MessageFailed,
        customer: Customer,
        owed: list[DueReminder],
        channels: Sequence[Channel],
        work: UnitOfWork,
    ) -> SendReminder | Outcome:
        route = self.channels.route(customer, owed, channels, work.at)
        if route.channel is not None and isinstance(event, ReminderDue):
            held = self.quota.held_until(work.at)
            if held is not None and self._can_wait(held, owed, route.channel, work):
                return Done()
        if route.channel is not None:
            return self._send(event, customer, owed, route.channel, work, left=channels)
        if route.until is None:
            claims.unreached(work, owed, route, at_first=isinstance(event, ReminderDue))
            return Done()
        if isinstance(event, MessageFailed):
            return Retry(
                route.until - work.at,
                (route.why or DeferralReason.CAN_WAIT).why(),
                spends_a_try=False,
            )
        claims.defer(work, owed, route.until, route.why)
        return Done()

    def _can_wait(
        self, held: datetime, owed: list[DueReminder], channel: Channel, work: UnitOfWork
    ) -> bool:
        """
        Put it off, unless the bank is live and by then it would be in vain, or a certificate that
        is good today would have ended.
        """
        step = min(one.threshold for one in owed)
        until = most_urgent_first(self.channels.free_from(held, channel, step, cap=False), step)
        if self.quota.is_live(work.at) and until > min(_last_use(one, work.at) for one in owed):
            return False
        claims.defer(work, owed, until, DeferralReason.FIRST_DAYS)
        return True

    def _send(
        self,
        event: ReminderDue | MessageFailed,
        customer: Customer,
        owed: list[DueReminder],
        channel: Channel,
        work: UnitOfWork,
        *,
        left: Sequence[Channel],
    ) -> SendReminder:
        failed = event.message if isinstance(event, MessageFailed) else None
        if failed is None:
            self.quota.reminded += 1
        # What else is owed goes along: it would find the day's text gone.
        also_due = self.due.also_due(customer, work) if failed else []
        every = [*owed, *also_due]
        out = self.written(message_id(event), customer, every, channel, work)
        claim(work, out, kind="reminder", customer=customer.id, instead_of=failed)
        mine = event.certificate if isinstance(event, ReminderDue) else owed[0].certificate.id
        message, before = work.messages.get(out.message), work.messages.find(failed or "")
        if before is not None and before.channel == channel:
            claims.reclaim(work, owed, before.id, message)
            claims.claim(work, also_due, message, mine=mine)
        else:
            claims.claim(work, every, message, mine=mine)
        if channel is Channel.SMS:
            self.channels.count_text(customer.id)
        return SendReminder(
            out=out,
            certificates=tuple(one.certificate.id for one in every),
            claimed_at=work.at,
            fallback=self.channels.fallback(customer, every, channel, left, work.at),
        )

    def written(
        self,
        message: str,
        customer: Customer,
        owed: list[DueReminder],
        channel: Channel,
        work: UnitOfWork,
    ) -> OutboundMessage:
        others = channel is Channel.SMS and self.channels.stands_for_others(customer.id)
        return render_reminder(
            message,
            customer,
            owed,
            channel,
            renderer=self.renderer,
            work=work,
            calendar=self.calendar,
            others=others,
        )


def _last_use(one: DueReminder, now: datetime) -> datetime:
    """Until when a reminder is in time: to the end, and once that has passed, to the window's."""
    ends = one.certificate.not_after
    return ends if now <= ends else closes_at(ends, one.policy.window)
