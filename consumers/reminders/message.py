"""Renders a reminder in the customer's language for its channel."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from consumers.message_writing import Sending, write_message
from renewal.gateways.sms.port import Lane
from renewal.rules import reminder_schedule
from renewal.rules.contact_hours import SHORT_VALIDITY, hours_end
from renewal.rules.window import closes_at, opens_at
from schema.policy import Channel, FeeHow
from templates.contexts import ReminderItem, ReminderMessage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from consumers.outbound import OutboundMessage
    from consumers.reminders.due import DueReminder
    from renewal.db.rows import Customer
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.contact_hours import Calendar
    from templates.rendering import MessageRenderer

DAY = timedelta(days=1)


def render_reminder(
    message: str,
    customer: Customer,
    owed: Sequence[DueReminder],
    channel: Channel,
    *,
    renderer: MessageRenderer,
    work: UnitOfWork,
    calendar: Calendar,
    others: bool,
) -> OutboundMessage:
    """Render the message with the current facts."""
    facts = reminder_facts(customer, owed, work, work.at, others=others)
    sending = Sending(
        message=message,
        channel=channel,
        lane=Lane.REMINDERS,
        since=work.at - timedelta(days=1),
        valid_for=valid_for(owed, work.at, calendar) if channel is Channel.SMS else None,
    )
    return write_message(facts, customer, sending, renderer=renderer, work=work)


def earlier_texts(
    customer: Customer,
    owed: Sequence[DueReminder],
    *,
    since: datetime,
    renderer: MessageRenderer,
    work: UnitOfWork,
) -> tuple[str, ...]:
    """
    The text message as it may have been true since then: the days that are left are in it, whether
    the certificate has ended, and whether others have the number.
    """
    days = range((work.at - since) // DAY + 1)
    turns = {one.certificate.not_after for one in owed}
    moments = [since + number * DAY for number in days]
    moments += [turn for turn in turns if since <= turn < work.at]
    return tuple(
        renderer.sms(reminder_facts(customer, owed, work, moment, others=others), customer.locale)
        for moment in moments
        for others in (False, True)
    )


def reminder_facts(
    customer: Customer,
    owed: Sequence[DueReminder],
    work: UnitOfWork,
    now: datetime,
    *,
    others: bool,
) -> ReminderMessage:
    return ReminderMessage(
        others=others,
        customer=work.cipher.open_text(customer.name_sealed, "customers.name", customer.id),
        items=tuple(_item(one, now, customer.locale) for one in owed),
    )


def _item(one: DueReminder, now: datetime, locale: str) -> ReminderItem:
    certificate, policy = one.certificate, one.policy
    opens = opens_at(certificate.not_after, policy.window)
    return ReminderItem(
        product=policy.title.en if locale == "en" else policy.title.zh,
        serial_tail=certificate.serial[-6:],
        not_after=certificate.not_after,
        days_left=reminder_schedule.days_left(now, certificate.not_after),
        opens_at=opens if opens > now else None,
        closes_at=closes_at(certificate.not_after, policy.window)
        if policy.window.after_days
        else None,
        fee_payable=policy.fee.how is FeeHow.PREPAID,
        ended=certificate.not_after < now,
    )


def valid_for(owed: Sequence[DueReminder], now: datetime, calendar: Calendar) -> timedelta:
    """
    For how long the text may still be delivered: within the hours for texts, and while what it
    says of the certificate that ends first is true.
    """
    step = min(one.threshold for one in owed)
    ends = hours_end(now, calendar, step=step) or now + SHORT_VALIDITY
    first = min(owed, key=lambda one: one.certificate.not_after)
    turns = first.certificate.not_after
    if turns < now:
        turns = closes_at(turns, first.policy.window)
    if turns > now:
        ends = min(ends, turns)
    return ends - now
