"""Events about messages: delivery receipts, and their absence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal import lanes
from renewal.contacts import mark_contact
from renewal.gateways.sms.port import DeliveryReport
from renewal.lifecycle import messages
from renewal.store import messages as queries
from schema.events import MessageFailed
from schema.reasons import DecisionKind, DeliveryReason
from schema.states import MessageState

if TYPE_CHECKING:
    from renewal.db.rows import Message
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.gateways.mail.bounce import Bounce

#: The first end wins: reports come twice and in any order. "claimed": the report was faster
#: than the carrier's own answer. "uncertain": nothing was heard for long, and now it is.
OPEN = frozenset({MessageState.CLAIMED, MessageState.HANDED_OVER, MessageState.UNCERTAIN})
_REPORTED = {
    MessageState.DELIVERED: DecisionKind.REMINDER_DELIVERED,
    MessageState.UNDELIVERED: DecisionKind.REMINDER_UNDELIVERED,
}
UNREPORTED = DeliveryReason.UNREPORTED.value


def reported(
    work: UnitOfWork,
    message_id: str,
    report: DeliveryReport,
    code: str,
    *,
    carrier_id: str | None = None,
) -> bool:
    """
    Record a delivery receipt, and emit an event if a reminder was not delivered.

    Returns whether this was its end: a later report changes nothing.
    """
    row = work.messages.find(message_id)
    if row is None or row.state not in OPEN or report is DeliveryReport.UNDER_WAY:
        return False
    arrived = report is DeliveryReport.DELIVERED
    state = MessageState.DELIVERED if arrived else MessageState.UNDELIVERED
    row = messages.report(work, row, state, code, carrier_id)
    _decided(work, row, _REPORTED[state], code)
    lanes.reported(work, row, code[:16] if report is DeliveryReport.UNDELIVERED else None)
    if report is DeliveryReport.UNDELIVERED:
        mark_contact(work, row, code[:16])
        _failed(work, row, code[:16])
    return True


def bounced(work: UnitOfWork, bounce: Bounce) -> bool:
    """
    Record what a mail server has reported back of a mail that a relay had taken.

    Returns whether this was its end: a delay is none, and neither is a second report.
    """
    row = _of_bounce(work, bounce.message_id)
    if row is None or row.channel != "mail" or bounce.delayed:
        return False
    return reported(work, row.id, DeliveryReport.UNDELIVERED, bounce.status)


def _of_bounce(work: UnitOfWork, message: str) -> Message | None:
    """Find by the id; mail systems may have changed the case of its one letter."""
    return work.messages.find(message) or work.messages.find(message[:1].upper() + message[1:])


def unheard_of(work: UnitOfWork, message_id: str) -> bool:
    """Record that a delivery receipt is missing for too long."""
    row = work.messages.find(message_id)
    if row is None or row.state != MessageState.HANDED_OVER:
        return False
    row = messages.lose_track(work, row, UNREPORTED)
    _decided(work, row, DecisionKind.REMINDER_UNCERTAIN, UNREPORTED)
    _failed(work, row, UNREPORTED)
    return True


def _failed(work: UnitOfWork, row: Message, code: str) -> None:
    # A code has ended by now; a reminder and a notice have another channel.
    if row.kind == "reminder" or row.about is not None:
        work.emit(MessageFailed(message=row.id, customer=row.customer, code=code))


def _decided(work: UnitOfWork, row: Message, kind: DecisionKind, code: str) -> None:
    for claim in queries.claims_of(work, row.id):
        work.record_decision(
            claim.certificate,
            kind,
            messages.carrier_said(code),
            threshold=claim.threshold,
            channel=row.channel,
            message=row.id,
        )
