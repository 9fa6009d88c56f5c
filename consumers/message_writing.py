"""Writes a message for its channel: text message or mail, in the customer's language."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from consumers.outbound import OutboundMessage, address, hash_of_address
from renewal.rules.contact_hours import Calendar, hours_end
from schema.policy import Channel

if TYPE_CHECKING:
    from datetime import datetime

    from renewal.db.rows import Customer
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.gateways.sms.port import Lane
    from schema.events import Event
    from templates.contexts import MessageContext
    from templates.rendering import MessageRenderer


#: A text that answers somebody, or is sent in the night because he must hear it, is dropped when it
#: could not be delivered for so long; any other one at the end of the hours for texts.
LIVES_AT_LEAST = timedelta(hours=1)


@dataclass(frozen=True)
class Recipient:
    address: str
    address_hash: bytes


@dataclass(frozen=True, kw_only=True)
class Sending:
    """How a message goes, whatever it says."""

    message: str
    channel: Channel
    lane: Lane
    since: datetime  #: it was not handed over before then
    valid_for: timedelta | None = None
    recipient: Recipient | None = None  #: in place of the customer's present address


def notice_id(event: Event) -> str:
    """The id of the notice of an event: one fact is one message."""
    return "N" + hashlib.sha256(event.identity.encode()).hexdigest()[:20]


def life_of_text(now: datetime, calendar: Calendar) -> timedelta:
    """How long a notice may be on its way: to the end of the hours for texts."""
    # What somebody waits for goes in the closed half as well (step 0).
    ends = hours_end(now, calendar) or hours_end(now, calendar, step=0)
    return max(ends - now if ends else LIVES_AT_LEAST, LIVES_AT_LEAST)


def write_message(
    facts: MessageContext,
    customer: Customer,
    sending: Sending,
    *,
    renderer: MessageRenderer,
    work: UnitOfWork,
) -> OutboundMessage:
    """The message as it is sent now: to the customer's present address, or to another one."""
    recipient = sending.recipient
    mail = renderer.mail(facts, customer.locale) if sending.channel is Channel.MAIL else None
    return OutboundMessage(
        message=sending.message,
        channel=sending.channel,
        to=recipient.address if recipient else address(work, customer, sending.channel),
        body=mail.text if mail else renderer.sms(facts, customer.locale),
        subject=mail.subject if mail else "",
        html=mail.html if mail else None,
        locale=customer.locale,
        lane=sending.lane,
        valid_for=sending.valid_for,
        since=sending.since,
        inquire_first=False,
        address_hash=(
            recipient.address_hash if recipient else hash_of_address(customer, sending.channel)
        ),
        at=work.at,
    )
