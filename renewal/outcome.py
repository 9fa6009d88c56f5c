"""A consumer's outcomes, as values."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

import msgspec

from schema.reasons import OutcomeReason

if TYPE_CHECKING:
    from datetime import timedelta

    from renewal.errors import GatewayError
    from schema.events import Event
    from schema.reasons import Reason


class Outcome(msgspec.Struct, frozen=True):
    """The end of one attempt at an event."""


class Done(Outcome, frozen=True):
    emit: tuple[Event, ...] = ()


class Retry(Outcome, frozen=True):
    """Not yet: the event is parked, and later ones of its key are blocked behind it."""

    after: timedelta
    why: Reason
    spends_a_try: bool = True  #: no, when waiting is the plan and not a failure
    unsure: bool = False  #: yes, when it may have been done: see ``IfInterrupted``
    outage: bool = False  #: yes, when the other side is away: that is waited out for days


class Reject(Outcome, frozen=True):
    """Never by the machine: the event becomes a dead letter that staff see, mend and replay."""

    why: Reason


class IfInterrupted(Enum):
    """What to do with an event that was begun and whose end is not known."""

    REPEAT = auto()
    ASK = auto()


def not_for(group: str, event: Event) -> Reject:
    """The answer to a kind that the consumer does not list."""
    kind = type(event).__name__
    return Reject(OutcomeReason.NOT_FOR_CONSUMER.why(event=kind, consumer=group))


def why_away(error: GatewayError) -> Reason:
    return OutcomeReason.AWAY.why(detail=str(error))


def why_unsure(detail: object) -> Reason:
    return OutcomeReason.UNSURE.why(detail=str(detail))
