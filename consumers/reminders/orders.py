"""What passes between the steps of the reminders' consumer."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from schema.events import MessageFailed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from consumers.outbound import OutboundMessage
    from consumers.reminders.channels import Fallback
    from consumers.reminders.due import DueReminder
    from renewal.db.rows import Message
    from schema.events import ReminderDue
    from schema.policy import Channel
    from schema.reasons import SuppressionReason


@dataclass(frozen=True, kw_only=True)
class SendReminder:
    """One message to be sent."""

    out: OutboundMessage
    certificates: tuple[int, ...]  #: of which it tells
    dropped: tuple[int, ...] = ()  #: of which it was to tell, and must not now
    claimed_at: datetime
    fallback: Fallback | None = None  #: another channel, should the carrier stay away
    #: why nothing of it is to be told any more; an earlier attempt may have
    moot: SuppressionReason | None = None


@dataclass(frozen=True, kw_only=True)
class ClaimedReminder:
    """A message that was claimed before, as it stands now."""

    message: Message
    channel: Channel
    claimed_at: datetime
    due: list[DueReminder]  #: what it has claimed
    kept: list[DueReminder]  #: of these, what is still wanted
    steps: list[DueReminder]  #: these, each at its latest threshold
    free_from: datetime  #: when its channel is free
    fallback: Fallback | None


@dataclass(frozen=True)
class ReminderMoot:
    """Not sent: it has lost its purpose."""

    why: SuppressionReason


def message_id(event: ReminderDue | MessageFailed) -> str:
    if isinstance(event, MessageFailed):
        return f"{event.message}-2"
    return "M" + hashlib.sha256(event.identity.encode()).hexdigest()[:20]


def certificate_ids(reminders: Sequence[DueReminder]) -> list[int]:
    return [one.certificate.id for one in reminders]


def with_earlier(message: str) -> list[str]:
    """The message and those that it replaces."""
    first, *more = message.split("-")
    return ["-".join((first, *more[:number])) for number in range(len(more) + 1)]
