"""Hands messages over to the carriers, and keeps the row that says how far each one is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from renewal.contacts import mark_contact
from renewal.errors import GatewayRefusedError
from renewal.gateways.mail.port import Mail, MailGateway
from renewal.gateways.sms.port import Lane, Sms, SmsGateway
from renewal.rules.suppression import Contact
from renewal.rules.taipei import day_of, start_of
from renewal.store.rows import Customer, Message
from schema.policy import Channel

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from renewal.store.work import Work


@dataclass(frozen=True)
class Carriers:
    sms: SmsGateway
    mail: MailGateway


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """
    One message, ready to be handed over.
    """

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
    ask: bool  #: an earlier attempt's end is not known: look before sending
    earlier: tuple[str, ...] = ()  #: the texts by which a carrier may know that attempt
    address_hash: bytes | None  #: of ``to``, as the customer's row has it


@dataclass(frozen=True)
class Handed:
    """
    The carrier has it.
    """

    carrier_id: str
    before: bool = False  #: by an earlier attempt, as it was written then


#: In place of an error number: the carrier was away for as long as there was time to wait.
AWAY = "away"


@dataclass(frozen=True)
class Failed:
    """
    The carrier will never take it, or not in time; its error number, or ``AWAY``.
    """

    code: str


def hand_over(carriers: Carriers, out: Outgoing) -> Handed | Failed:
    """
    Hand one message over, once: if that may have been done before, look first.

    Raises:
        GatewayUnavailableError, GatewayUnsureError
    """
    before = handed_before(carriers, out)
    if before is not None:
        return before
    try:
        if out.channel is Channel.SMS:
            return Handed(carriers.sms.send(_as_sms(out)))
        return Handed(carriers.mail.send(_as_mail(out)))
    except GatewayRefusedError as error:
        return Failed(error.code or "refused")


def handed_before(carriers: Carriers, out: Outgoing) -> Handed | None:
    """
    Say whether an earlier attempt did hand it over.
    """
    if not out.ask:
        return None
    if out.channel is Channel.MAIL:
        found = carriers.mail.find(_as_mail(out), since=out.since)
        return Handed(found, before=True) if found else None
    for body in dict.fromkeys((out.body, *out.earlier)):
        found = carriers.sms.find(_as_sms(replace(out, body=body)), since=out.since)
        if found:
            return Handed(found, before=True)
    return None


def _as_sms(out: Outgoing) -> Sms:
    return Sms(id=out.message, to=out.to, body=out.body, lane=out.lane, valid_for=out.valid_for)


def _as_mail(out: Outgoing) -> Mail:
    return Mail(
        id=out.message,
        to=out.to,
        subject=out.subject,
        text=out.body,
        html=out.html,
        locale=out.locale,
        unsubscribable=out.lane is Lane.REMINDERS,
    )


def counts_today(message: Message, now: datetime) -> bool:
    """
    Whether a message that is claimed is among the day's texts, as ``texts_since`` counts them.
    """
    return message.owed_at >= start_of(day_of(now))


def goes_today(work: Work, message: Message) -> bool:
    """
    Count a message that was claimed on an earlier day among this day's texts, for it goes now;
    answer whether it was not among them yet.
    """
    if counts_today(message, work.at):
        return False
    work.messages.change(message, owed_at=work.at)
    return True


def claim(
    work: Work,
    out: Outgoing,
    *,
    kind: str,
    customer: int,
    renewal: str | None = None,
    instead_of: str | None = None,
) -> None:
    """
    Put on record that this message is about to be handed over.
    """
    if work.messages.find(out.message) is not None:
        return
    work.messages.put(
        Message(
            id=out.message,
            kind=kind,
            customer=customer,
            channel=out.channel.value,
            state="claimed",
            owed_at=work.at,
            claimed_at=work.at,
            handed_at=None,
            ended_at=None,
            carrier_id=None,
            code="",
            text_hash=work.vault.hash(out.body, "messages.text"),
            instead_of=instead_of,
            renewal=renewal,
            version=1,
            address_hash=out.address_hash,
        )
    )


def handed(
    work: Work, message: str, answer: Handed | Failed, address_hash: bytes | None = None
) -> None:
    """
    Put on record what the carrier said, and what follows for the customer's address.

    ``address_hash``: of the one that the message was written for last; an earlier attempt, if it
    was that, went where the message was claimed for.
    """
    row = work.messages.get(message)
    if row.state != "claimed":
        return
    if address_hash is not None and not (isinstance(answer, Handed) and answer.before):
        row = work.messages.change(row, address_hash=address_hash)
    if isinstance(answer, Handed):
        work.messages.change(
            row, state="handed over", handed_at=work.at, carrier_id=answer.carrier_id
        )
        return
    work.messages.change(row, state="undelivered", ended_at=work.at, code=answer.code)
    mark_contact(work, row, answer.code)


def withdrawn(work: Work, message: str, why: str) -> None:
    """
    Put on record that a message was not sent after all.
    """
    row = work.messages.get(message)
    if row.state == "claimed":
        work.messages.change(row, state="suppressed", ended_at=work.at, code=why[:16])


def contact(customer: Customer, channel: Channel) -> Contact:
    sealed, bad = (
        (customer.mobile_sealed, customer.mobile_bad)
        if channel is Channel.SMS
        else (customer.mail_sealed, customer.mail_bad)
    )
    if sealed is None:
        return Contact.NONE
    return Contact.BAD if bad else Contact.GOOD


def hash_of_address(customer: Customer, channel: Channel) -> bytes | None:
    return customer.mobile_hash if channel is Channel.SMS else customer.mail_hash


def address(work: Work, customer: Customer, channel: Channel) -> str:
    """
    The customer's address in clear; only here, and only to be handed over.
    """
    if channel is Channel.SMS:
        return work.vault.open_text(customer.mobile_sealed or b"", "customers.mobile")
    return work.vault.open_text(customer.mail_sealed or b"", "customers.mail")
