"""Goes on with a reminder that was claimed before: sends, asks, waits, switches or withdraws."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from consumers.outbound import contact, count_today
from consumers.reminders import claims
from consumers.reminders.channels import step_ends
from consumers.reminders.message import earlier_texts
from consumers.reminders.orders import ClaimedReminder, SendReminder, certificate_ids, message_id
from consumers.reminders.recovery import Recovery, Situation, recovery_of
from consumers.reminders.results import MOOT, given_up
from renewal.outcome import Done, Outcome, Retry
from renewal.rules.suppression import Contact
from schema.policy import Channel
from schema.reasons import DeferralReason
from schema.states import MessageState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consumers.reminders.channels import ChannelSelector, Fallback
    from consumers.reminders.due import DueReminder, DueReminders
    from consumers.reminders.routing import ReminderRouting
    from renewal.db.rows import Customer, Message
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies
    from schema.events import MessageFailed, ReminderDue
    from templates.rendering import MessageRenderer


@dataclass(frozen=True, kw_only=True)
class ReminderResumption:
    due: DueReminders
    channels: ChannelSelector
    routing: ReminderRouting
    renderer: MessageRenderer
    policies: Policies

    def resumed(
        self,
        event: ReminderDue | MessageFailed,
        customer: Customer,
        work: UnitOfWork,
        *,
        ask: bool,
    ) -> SendReminder | Outcome:
        """
        The message was claimed before; if it may have been sent, its carrier is asked.

        It is rendered anew, for the certificates that still matter.
        """
        message = work.messages.get(message_id(event))
        if message.state != MessageState.CLAIMED:
            return Done()
        claimed = self._claimed(message, customer, work, ask=ask)
        match recovery_of(self._situation(claimed, customer, work, ask=ask)).then:
            case Recovery.SWITCH:
                return given_up(message, certificate_ids(claimed.kept), work)
            case Recovery.WAIT:  # and looked at again when its next step comes
                until = min(claimed.free_from, step_ends(claimed.steps, work.at))
                return Retry(until - work.at, DeferralReason.QUIET_HOURS.why(), spends_a_try=False)
            case Recovery.WITHDRAW:
                claims.withdraw(work, message.id, certificate_ids(claimed.due), MOOT, self.policies)
                return Done()
            case Recovery.SEND | Recovery.INQUIRE:
                return self._sent_once_more(claimed, customer, work, ask=ask)

    def _claimed(
        self, message: Message, customer: Customer, work: UnitOfWork, *, ask: bool
    ) -> ClaimedReminder:
        channel = Channel(message.channel)
        due = self.due.claimed(message.id, work)
        kept = [one for one in due if self.due.still_wanted(one, customer, channel, work)]
        if not ask:  # else it may have been sent as it was: then it has told of nothing later
            kept = [self.most_urgent(one, message.id, work) for one in kept]
        # And if it was not, it tells of the latest step: that may be urgent enough to go at once.
        steps = [self._at_its_latest(one, work) for one in kept]
        free_from = self.channels.resumes(message, steps, customer, work.at) if kept else work.at
        return ClaimedReminder(
            message=message,
            channel=channel,
            claimed_at=message.claimed_at or work.at,
            due=due,
            kept=kept,
            steps=steps,
            free_from=free_from,
            fallback=self._fallback(customer, kept, channel, work),
        )

    def _situation(
        self, claimed: ClaimedReminder, customer: Customer, work: UnitOfWork, *, ask: bool
    ) -> Situation:
        free_from = claimed.free_from
        return Situation(
            may_have_been_sent=ask,
            is_wanted=bool(claimed.kept),
            must_wait=free_from > work.at,
            other_in_time=self.channels.should_switch(claimed.fallback, work.at, free_from),
            has_address=contact(customer, claimed.channel, work.at) is not Contact.NONE,
        )

    def _sent_once_more(
        self, claimed: ClaimedReminder, customer: Customer, work: UnitOfWork, *, ask: bool
    ) -> SendReminder:
        message, due, kept = claimed.message, claimed.due, claimed.kept
        if claimed.channel is Channel.SMS and count_today(work, message):
            self.channels.count_text(customer.id)
        out = self.routing.written(message.id, customer, kept or due, claimed.channel, work)
        here = set(certificate_ids(kept))
        return SendReminder(
            out=replace(
                out,
                inquire_first=ask,
                since=claimed.claimed_at - timedelta(minutes=5),
                dated=claimed.claimed_at,
                earlier=self._earlier(message, customer, due, kept, work) if ask else (),
            ),
            certificates=tuple(here),
            dropped=tuple(number for number in certificate_ids(due) if number not in here),
            claimed_at=claimed.claimed_at,
            fallback=claimed.fallback,
            moot=None if kept else MOOT,
        )

    def _earlier(
        self,
        message: Message,
        customer: Customer,
        due: list[DueReminder],
        kept: list[DueReminder],
        work: UnitOfWork,
    ) -> tuple[str, ...]:
        """
        Texts that an attempt with unknown end may have sent: about all, or about those still
        wanted.
        """
        if Channel(message.channel) is not Channel.SMS:
            return ()
        whole = list({one.certificate.id: one for one in due}.values())
        since = message.claimed_at or work.at
        found: list[str] = []
        for owed in filter(None, (whole, kept)):
            found += earlier_texts(customer, owed, since=since, renderer=self.renderer, work=work)
        return tuple(found)

    def _fallback(
        self, customer: Customer, kept: list[DueReminder], channel: Channel, work: UnitOfWork
    ) -> Fallback | None:
        if not kept:
            return None
        left = self.channels.untried(kept, work)
        return self.channels.fallback(customer, kept, channel, left, work.at)

    def _at_its_latest(self, one: DueReminder, work: UnitOfWork) -> DueReminder:
        step = self.due.later_step(one, work)
        return one if step is None else replace(one, threshold=step)

    def most_urgent(self, one: DueReminder, message: str, work: UnitOfWork) -> DueReminder:
        step = self.due.later_step(one, work)
        if step is None:
            return one
        return claims.claim_later(work, one, step, work.messages.get(message))

    def claim_latest(self, message: str, certificates: Sequence[int], work: UnitOfWork) -> None:
        for one in self.due.claimed(message, work):
            latest = one.certificate.told == one.threshold
            if latest and one.certificate.id in certificates:
                self.most_urgent(one, message, work)
