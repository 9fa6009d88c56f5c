"""Records that a reminder did not go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumers.outbound import CARRIER_AWAY, SendFailed, not_taken
from consumers.reminders import claims
from renewal.lifecycle.messages import carrier_said
from renewal.outcome import Done
from schema.events import MessageFailed
from schema.reasons import DecisionKind, SuppressionReason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from renewal.db.rows import Message
    from renewal.db.unit_of_work import UnitOfWork

MOOT = SuppressionReason.MOOT


def given_up(message: Message, certificates: Sequence[int], work: UnitOfWork) -> Done:
    """It was not sent, and by the next contact hours it would be too late."""
    not_taken(work, message, SendFailed(CARRIER_AWAY))
    return failed(message.id, certificates, CARRIER_AWAY, work)


def failed(message: str, certificates: Sequence[int], code: str, work: UnitOfWork) -> Done:
    """Record that the message did not go, and say so: another channel is tried next."""
    away = code == CARRIER_AWAY
    kind = DecisionKind.REMINDER_CARRIER_AWAY if away else DecisionKind.REMINDER_FAILED
    claims.decide(work, certificates, kind, carrier_said(code), message)
    customer = work.messages.get(message).customer
    return Done(emit=(MessageFailed(message=message, customer=customer, code=code),))
