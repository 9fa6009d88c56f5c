"""Reminds customers of expiring certificates, once for each threshold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from consumers.outbound import (
    Carriers,
    HandedOver,
    SendFailed,
    Withheld,
    kept,
    record_result,
)
from consumers.reminders import claims
from consumers.reminders.channels import ChannelSelector
from consumers.reminders.due import DueReminders
from consumers.reminders.first_days import FirstDaysQuota
from consumers.reminders.orders import ReminderMoot, SendReminder, message_id, with_earlier
from consumers.reminders.results import failed
from consumers.reminders.resuming import ReminderResumption
from consumers.reminders.routing import ReminderRouting
from consumers.reminders.sending import ReminderSender
from renewal.outcome import Done, IfInterrupted, Outcome, Retry
from schema.events import Event, MessageFailed, ReminderDue, Topic
from schema.reasons import DecisionKind
from schema.states import MessageState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consumers.registry import Installation
    from renewal.db.engine import Store
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.contact_hours import Calendar
    from renewal.rules.first_days import FirstDays
    from renewal.rules.policies import Policies
    from templates.rendering import MessageRenderer


@dataclass(kw_only=True)
class Reminders:
    group: ClassVar[str] = "reminders"
    topics: ClassVar[tuple[str, ...]] = (Topic.REMINDERS.value,)
    kinds: ClassVar[tuple[type[Event], ...]] = (ReminderDue, MessageFailed)
    if_interrupted: ClassVar[IfInterrupted] = IfInterrupted.ASK  # a carrier can be asked

    carriers: Carriers
    renderer: MessageRenderer
    policies: Policies
    calendar: Calendar
    store: Store
    first_days: FirstDays
    due: DueReminders = field(init=False)
    channels: ChannelSelector = field(init=False)
    routing: ReminderRouting = field(init=False)
    resumption: ReminderResumption = field(init=False)
    sender: ReminderSender = field(init=False)

    @classmethod
    def of(cls, it: Installation) -> Reminders:
        return cls(
            carriers=it.carriers,
            renderer=it.renderer,
            policies=it.policies,
            calendar=it.calendar,
            store=it.store,
            first_days=it.first_days,
        )

    def __post_init__(self) -> None:
        self.due = DueReminders(policies=self.policies)
        self.channels = ChannelSelector(calendar=self.calendar)
        self.routing = ReminderRouting(
            due=self.due,
            channels=self.channels,
            renderer=self.renderer,
            calendar=self.calendar,
            quota=FirstDaysQuota(self.first_days),
        )
        self.resumption = ReminderResumption(
            due=self.due,
            channels=self.channels,
            routing=self.routing,
            renderer=self.renderer,
            policies=self.policies,
        )
        self.sender = ReminderSender(
            carriers=self.carriers, store=self.store, due=self.due, channels=self.channels
        )

    def preload(self, events: Sequence[ReminderDue | MessageFailed], work: UnitOfWork) -> None:
        failed = [event.message for event in events if isinstance(event, MessageFailed)]
        before = [one for message in failed for one in with_earlier(message)]
        work.messages.load([*map(message_id, events), *before])
        customers = {event.customer for event in events}
        self.due.preload(customers, work)
        self.channels.preload(customers, work)
        self.routing.quota.preload(work)
        self.carriers.gate.look(work)

    # --- prepare --------------------------------------------------------------------------------

    def prepare(
        self, event: ReminderDue | MessageFailed, work: UnitOfWork, *, outcome_unknown: bool
    ) -> SendReminder | Outcome:
        customer = work.customers.get(event.customer)
        if work.messages.find(message_id(event)) is not None:
            return self.resumption.resumed(event, customer, work, ask=outcome_unknown)
        if isinstance(event, MessageFailed):
            return self.routing.replaced(event, customer, work)
        owed = self.due.due(customer, work)
        if event.certificate not in {one.certificate.id for one in owed}:
            return Done()  # told with another certificate's, or nothing is owed any more
        owed = self.due.drop_moot(owed, work)
        if not owed:
            return Done()
        return self.routing.reached(event, customer, owed, owed[0].policy.channels, work)

    # --- carry out ------------------------------------------------------------------------------

    def carry_out(
        self, order: SendReminder
    ) -> HandedOver | SendFailed | ReminderMoot | Withheld | Retry:
        return self.sender.carry_out(order)

    # --- conclude -------------------------------------------------------------------------------

    def preload_orders(self, orders: Sequence[SendReminder], work: UnitOfWork) -> None:
        work.messages.load(order.out.message for order in orders)

    def conclude(
        self,
        order: SendReminder,
        answer: HandedOver | SendFailed | ReminderMoot | Withheld,
        work: UnitOfWork,
    ) -> Outcome:
        message = order.out.message
        if isinstance(answer, Withheld):
            return kept(work, order.out, answer)
        if isinstance(answer, ReminderMoot):
            ids = (*order.certificates, *order.dropped)
            claims.withdraw(work, message, ids, answer.why, self.policies)
            return Done()
        if (
            isinstance(answer, SendFailed)
            and work.messages.get(message).state != MessageState.CLAIMED
        ):
            return Done()  # its carrier has said meanwhile what became of it
        record_result(work, order.out, answer, self.carriers.gate)
        if not (isinstance(answer, HandedOver) and answer.earlier):
            claims.release(work, message, order.dropped, self.policies)
            if order.out.inquire_first:
                self.resumption.claim_latest(message, order.certificates, work)
        if isinstance(answer, HandedOver):
            claims.decide(work, order.certificates, DecisionKind.REMINDER_SENT, None, message)
            return Done()
        return failed(message, order.certificates, answer.code, work)
