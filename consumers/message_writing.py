"""Writes a message for its channel: text message or mail, in the customer's language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from consumers.outbound import OutboundMessage, address, hash_of_address
from schema.policy import Channel

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from renewal.db.rows import Customer
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.gateways.sms.port import Lane
    from templates.contexts import MessageContext
    from templates.rendering import MessageRenderer


@dataclass(frozen=True, kw_only=True)
class Sending:
    """How a message goes, whatever it says."""

    message: str
    channel: Channel
    lane: Lane
    since: datetime  #: it was not handed over before then
    valid_for: timedelta | None = None


def write_message(
    facts: MessageContext,
    customer: Customer,
    sending: Sending,
    *,
    renderer: MessageRenderer,
    work: UnitOfWork,
) -> OutboundMessage:
    """The message as it is sent now to the customer's present address."""
    mail = renderer.mail(facts, customer.locale) if sending.channel is Channel.MAIL else None
    return OutboundMessage(
        message=sending.message,
        channel=sending.channel,
        to=address(work, customer, sending.channel),
        body=mail.text if mail else renderer.sms(facts, customer.locale),
        subject=mail.subject if mail else "",
        html=mail.html if mail else None,
        locale=customer.locale,
        lane=sending.lane,
        valid_for=sending.valid_for,
        since=sending.since,
        inquire_first=False,
        address_hash=hash_of_address(customer, sending.channel),
        at=work.at,
    )
