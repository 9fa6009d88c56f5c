"""Sends messages through the carriers and records each message's state."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from renewal.contacts import mark_contact, of_lane, why_resting
from renewal.db.rows import Customer, Message
from renewal.errors import GatewayRefusedError
from renewal.gateways.mail.port import Mail, MailGateway
from renewal.gateways.sms.port import GatewayMisconfiguredError, Lane, Sms, SmsGateway
from renewal.lanes import Gate, LaneStoppedError, failed, lane_of, refused_us
from renewal.lifecycle import messages
from renewal.outcome import Retry, why_away
from renewal.rules.suppression import Contact
from schema.policy import Channel
from schema.reasons import DeliveryReason
from schema.states import MessageState
from schema.taipei import day_of, start_of

if TYPE_CHECKING:
    from datetime import datetime

    from renewal.db.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class Carriers:
    sms: SmsGateway
    mail: MailGateway
    gate: Gate = field(default_factory=Gate)


@dataclass(frozen=True, kw_only=True)
class OutboundMessage:
    """One message, ready to be sent."""

    message: str
    channel: Channel
    to: str
    body: str
    subject: str = ""
    html: str | None = None
    locale: str = "zh-TW"
    lane: Lane = Lane.REMINDERS
    valid_for: timedelta | None = None
    since: datetime  #: it was not handed over before then
    inquire_first: bool  #: an earlier attempt's end is not known: look before sending
    earlier: tuple[str, ...] = ()  #: the texts by which a carrier may know that attempt
    address_hash: bytes | None  #: of ``to``, as the customer's row has it
    at: datetime  #: the moment as of which it was written
    dated: datetime | None = None  #: when it was claimed, if that was earlier
    #: The same in time that only runs: what a message may still live shrinks while it waits here.
    made: float = field(default_factory=time.monotonic)

    @property
    def way(self) -> str:
        return lane_of(self.channel, self.lane)


@dataclass(frozen=True)
class HandedOver:
    """The carrier has accepted it."""

    carrier_id: str
    earlier: bool = False  #: by an earlier attempt, as it was written then


#: In place of an error number: the carrier was away for as long as there was time to wait.
CARRIER_AWAY = DeliveryReason.AWAY.value


@dataclass(frozen=True)
class SendFailed:
    """The carrier will never accept it, or not in time; its error number, or ``CARRIER_AWAY``."""

    code: str


def send(carriers: Carriers, out: OutboundMessage) -> HandedOver | SendFailed:
    """
    Send one message, once: inquire first if an earlier attempt may have sent it.

    Raises:
        GatewayUnavailableError, GatewayUnsureError
    """
    before = find_sent(carriers, out)
    if before is not None:
        return before
    carriers.gate.check(out.way, out.at)
    try:
        if out.channel is Channel.SMS:
            return HandedOver(carriers.sms.send(_as_sms(out)))
        return HandedOver(carriers.mail.send(_as_mail(out)))
    except GatewayRefusedError as error:
        return SendFailed(error.code or "refused")
    except GatewayMisconfiguredError as error:
        if carriers.gate.is_of_one_message(out.way, error.code):
            return SendFailed(error.code)
        carriers.gate.shut(out.way, error.code, out.at)
        raise


@dataclass(frozen=True)
class Withheld:
    """It was not handed over now: its carrier has spoken of us, or the lane is stopped for that."""

    code: str
    retry: Retry
    is_news: bool  #: the carrier has said so now


def withheld(error: GatewayMisconfiguredError, *, unsure: bool = False) -> Withheld:
    retry = Retry(error.retry_after, why_away(error), spends_a_try=False, unsure=unsure)
    return Withheld(error.code, retry, is_news=not isinstance(error, LaneStoppedError))


def kept(work: UnitOfWork, out: OutboundMessage, answer: Withheld) -> Retry:
    """Keep the message, and put on record what its carrier has said of us."""
    if answer.is_news:
        refused_us(work, out.way, answer.code, out.address_hash)
    return answer.retry


def find_sent(carriers: Carriers, out: OutboundMessage) -> HandedOver | None:
    """Whether an earlier attempt sent it."""
    if not out.inquire_first:
        return None
    if out.channel is Channel.MAIL:
        found = carriers.mail.find(_as_mail(out), since=out.since)
        return HandedOver(found, earlier=True) if found else None
    for body in dict.fromkeys((out.body, *out.earlier)):
        found = carriers.sms.find(_as_sms(replace(out, body=body)), since=out.since)
        if found:
            return HandedOver(found, earlier=True)
    return None


def _as_sms(out: OutboundMessage) -> Sms:
    life = out.valid_for
    if life is not None:
        life -= timedelta(seconds=time.monotonic() - out.made)
    return Sms(id=out.message, to=out.to, body=out.body, lane=out.lane, valid_for=life)


def _as_mail(out: OutboundMessage) -> Mail:
    return Mail(
        id=out.message,
        to=out.to,
        subject=out.subject,
        text=out.body,
        html=out.html,
        locale=out.locale,
        dated=out.dated or out.at,
    )


def counts_today(message: Message, now: datetime) -> bool:
    """Whether a claimed message counts among the day's texts, as ``texts_since`` counts them."""
    return message.owed_at >= start_of(day_of(now))


def count_today(work: UnitOfWork, message: Message) -> bool:
    """
    Count a message claimed on an earlier day among today's texts, because it goes now; return
    whether it was not counted yet.
    """
    if counts_today(message, work.at):
        return False
    work.messages.change(message, owed_at=work.at)
    return True


def claim(
    work: UnitOfWork,
    out: OutboundMessage,
    *,
    kind: str,
    customer: int,
    renewal: str | None = None,
    instead_of: str | None = None,
    about: bytes | None = None,
) -> None:
    """Record that this message is about to be sent."""
    if work.messages.find(out.message) is not None:
        return
    messages.claim(
        work,
        Message(
            id=out.message,
            kind=kind,
            customer=customer,
            channel=out.channel.value,
            state=MessageState.CLAIMED.value,
            owed_at=work.at,
            claimed_at=work.at,
            handed_at=None,
            ended_at=None,
            carrier_id=None,
            code="",
            text_hash=work.cipher.hash(out.body, "messages.text"),
            instead_of=instead_of,
            renewal=renewal,
            version=1,
            address_hash=out.address_hash,
            about=about,
        ),
    )


def record_result(
    work: UnitOfWork, out: OutboundMessage, answer: HandedOver | SendFailed, gate: Gate
) -> None:
    """
    Put on record what the carrier said, and what follows for the customer's address and the lane.

    The message was written for the address of ``out`` last; an earlier attempt, if it was that,
    went where the message was claimed for.
    """
    row = work.messages.get(out.message)
    if row.state != MessageState.CLAIMED:
        return
    address_hash = out.address_hash
    if address_hash is not None and not (isinstance(answer, HandedOver) and answer.earlier):
        row = work.messages.change(row, address_hash=address_hash)
    if isinstance(answer, HandedOver):
        messages.hand_over(work, row, answer.carrier_id)
        gate.taken(work, out.way)
        return
    not_taken(work, row, answer)
    if answer.code != CARRIER_AWAY:
        failed(work, out.way, answer.code, out.address_hash)


def not_taken(work: UnitOfWork, row: Message, answer: SendFailed) -> None:
    """Put on record that the carrier will not have it, and what that proves of the address."""
    row = messages.refuse(work, row, answer.code)
    mark_contact(work, row, answer.code)


def record_suppressed(work: UnitOfWork, message: str, why: str) -> None:
    """Record that a message was not sent after all."""
    row = work.messages.get(message)
    if row.state == MessageState.CLAIMED:
        messages.withdraw(work, row, why)


def contact(customer: Customer, channel: Channel, at: datetime, *, codes: bool = False) -> Contact:
    sealed = customer.mobile_sealed if channel is Channel.SMS else customer.mail_sealed
    if sealed is None:
        return Contact.NONE
    return Contact.BAD if why_resting(customer, of_lane(channel, codes=codes), at) else Contact.GOOD


def hash_of_address(customer: Customer, channel: Channel) -> bytes | None:
    return customer.mobile_hash if channel is Channel.SMS else customer.mail_hash


def address(work: UnitOfWork, customer: Customer, channel: Channel) -> str:
    """The customer's address in clear, only here and only for sending."""
    if channel is Channel.SMS:
        return work.cipher.open_text(customer.mobile_sealed or b"", "customers.mobile", customer.id)
    return work.cipher.open_text(customer.mail_sealed or b"", "customers.mail", customer.id)
