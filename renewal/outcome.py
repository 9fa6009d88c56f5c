"""What a consumer answers, as values."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from datetime import timedelta

    from schema.events import Event


class Outcome(msgspec.Struct, frozen=True):
    """
    The end of one attempt at an event.
    """


class Done(Outcome, frozen=True):
    emit: tuple[Event, ...] = ()


class Retry(Outcome, frozen=True):
    """
    Not yet: the event waits, and later ones of its key wait behind it.
    """

    after: timedelta
    why: str
    spends_a_try: bool = True  #: no, when waiting is the plan and not a failure
    unsure: bool = False  #: yes, when it may have been done: see ``IfInterrupted``
    outage: bool = False  #: yes, when the other side is away: that is waited out for days


class Reject(Outcome, frozen=True):
    """
    Never by the machine: the event becomes a dead letter that staff see, mend and send again.
    """

    why: str


class IfInterrupted(Enum):
    """
    What to do with an event that was begun, and whose end nobody knows.
    """

    REPEAT = auto()
    ASK = auto()
