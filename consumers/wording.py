"""Writes a reminder in the customer's language, for the channel on which it goes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from consumers.sending import Outgoing, address, hash_of_address
from renewal.gateways.sms.port import Lane
from renewal.rules import ladder
from renewal.rules.window import closes_at, opens_at
from schema.policy import Channel, FeeHow
from templates.facts import Reminder, ReminderItem

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from consumers.owing import Owed
    from renewal.store.rows import Customer
    from renewal.store.work import Work
    from templates.voice import Voice

DAY = timedelta(days=1)


def written(
    message: str,
    customer: Customer,
    owed: Sequence[Owed],
    channel: Channel,
    *,
    voice: Voice,
    work: Work,
) -> Outgoing:
    """
    The message, as it is true now.
    """
    facts = _facts(customer, owed, work, work.at)
    letter = voice.mail(facts, customer.locale) if channel is Channel.MAIL else None
    return Outgoing(
        message=message,
        channel=channel,
        to=address(work, customer, channel),
        body=letter.text if letter else voice.sms(facts, customer.locale),
        subject=letter.subject if letter else "",
        html=letter.html if letter else None,
        locale=customer.locale,
        lane=Lane.REMINDERS,
        since=work.at - timedelta(days=1),
        ask=False,
        address_hash=hash_of_address(customer, channel),
    )


def earlier_texts(
    customer: Customer,
    owed: Sequence[Owed],
    *,
    since: datetime,
    voice: Voice,
    work: Work,
) -> tuple[str, ...]:
    """
    The text message as it was true on each day since then: the days that are left are in it.
    """
    days = range((work.at - since) // DAY + 1)
    moments = (since + number * DAY for number in days)
    return tuple(
        voice.sms(_facts(customer, owed, work, moment), customer.locale) for moment in moments
    )


def _facts(customer: Customer, owed: Sequence[Owed], work: Work, now: datetime) -> Reminder:
    return Reminder(
        customer=work.vault.open_text(customer.name_sealed, "customers.name"),
        items=tuple(_item(one, now, customer.locale) for one in owed),
    )


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
