"""Notifies a replaced telephone number or mail address, once, that it was replaced."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from consumers.message_writing import (
    Recipient,
    Sending,
    life_of_text,
    notice_id,
    write_message,
)
from consumers.outbound import (
    HandedOver,
    OutboundMessage,
    SendFailed,
    claim,
    not_taken,
    record_suppressed,
)
from consumers.outbound import record_result as record
from renewal.db.rows import ReplacedAddress
from renewal.gateways.sms.port import Lane
from renewal.lifecycle.addresses import KEPT_FOR, SEALED_FOR
from renewal.lifecycle.messages import carrier_said
from renewal.outcome import Done, Outcome, Retry
from renewal.rules.contact_hours import Calendar, allowed_from
from renewal.store import certificates as certificate_queries
from renewal.store import replaced_addresses as queries
from schema.events import AddressReplaced
from schema.policy import Channel
from schema.reasons import DecisionKind, DeferralReason, SuppressionReason
from schema.states import CertificateState, MessageState
from templates.contexts import AddressReplacedMessage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from renewal.db.unit_of_work import UnitOfWork
    from renewal.lanes import Gate
    from schema.events import Event
    from templates.rendering import MessageRenderer

#: Of these the story says that it was sent.
IN_FORCE = frozenset({CertificateState.ACTIVE, CertificateState.SUSPENDED})


@dataclass(frozen=True)
class NotifyReplacedAddress:
    address: ReplacedAddress
    out: OutboundMessage


def preload(events: Sequence[Event], work: UnitOfWork) -> Sequence[Event]:
    """Load what these events need; return the others."""
    mine = [event for event in events if isinstance(event, AddressReplaced)]
    if mine:
        keys = [(event.customer, event.contact_version, event.channel) for event in mine]
        work.rows_of(ReplacedAddress).load(keys)
        work.customers.load(event.customer for event in mine)
        work.messages.load(map(notice_id, mine))
    return [event for event in events if not isinstance(event, AddressReplaced)]


def prepare(
    event: AddressReplaced,
    work: UnitOfWork,
    *,
    renderer: MessageRenderer,
    calendar: Calendar,
    outcome_unknown: bool,
) -> NotifyReplacedAddress | Outcome:
    """
    Its text is sent within the hours for texts, whatever the customer has opted out of: it is no
    advertisement, and the only way to hear of a change that somebody else has made.
    """
    key = (event.customer, event.contact_version, event.channel)
    kept = work.rows_of(ReplacedAddress).find(key)
    message, channel = notice_id(event), Channel(event.channel)
    known = work.messages.find(message)
    if known is not None and known.state != MessageState.CLAIMED:
        return Done()
    if kept is None or work.at - kept.replaced_at > KEPT_FOR:
        if kept is not None:
            queries.forget(work, kept)
        if known is not None and not outcome_unknown:
            record_suppressed(work, message, SuppressionReason.NO_CONTACT.value)
        return Done()
    if channel is Channel.SMS and not outcome_unknown:
        until = allowed_from(work.at, channel, calendar, step=0)
        if until > work.at:
            return Retry(until - work.at, DeferralReason.CAN_WAIT.why(), spends_a_try=False)
    to = work.cipher.open_text(kept.address_sealed, SEALED_FOR, kept.sealed_row)
    facts = AddressReplacedMessage(is_mobile=channel is Channel.SMS, at=kept.replaced_at)
    claimed = (known.claimed_at if known else None) or work.at
    out = write_message(
        facts,
        work.customers.get(event.customer),
        Sending(
            message=message,
            channel=channel,
            lane=Lane.REMINDERS,
            since=claimed - timedelta(minutes=5),
            valid_for=life_of_text(work.at, calendar) if channel is Channel.SMS else None,
            recipient=Recipient(to, kept.address_hash),
        ),
        renderer=renderer,
        work=work,
    )
    claim(work, out, kind=facts.message, customer=event.customer)
    return NotifyReplacedAddress(kept, replace(out, inquire_first=outcome_unknown, dated=claimed))


def conclude(
    order: NotifyReplacedAddress, answer: HandedOver | SendFailed, work: UnitOfWork, gate: Gate
) -> Done:
    """Forget the address with the answer; that a former one is dead is no word on the lane."""
    row = work.messages.get(order.out.message)
    if row.state == MessageState.CLAIMED and isinstance(answer, SendFailed):
        not_taken(work, row, answer)
    elif isinstance(answer, HandedOver):
        record(work, order.out, answer, gate)
    queries.forget(work, order.address)
    failed = isinstance(answer, SendFailed)
    for certificate in certificate_queries.of_customers(work, [order.address.customer]):
        if certificate.state not in IN_FORCE:
            continue
        work.record_decision(
            certificate.id,
            DecisionKind.NOTICE_FAILED if failed else DecisionKind.NOTICE_SENT,
            carrier_said(answer.code) if isinstance(answer, SendFailed) else None,
            channel=order.out.channel.value,
            message=order.out.message,
        )
    return Done()
