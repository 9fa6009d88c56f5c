"""What becomes of a reminder that was claimed before: a table, the first row that fits counts."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Recovery(Enum):
    SWITCH = auto()  #: give it up on its channel, so that another one brings it
    WAIT = auto()  #: until its channel is free, or its next step comes
    SEND = auto()  #: written anew; if it may have been sent, its carrier is asked first
    WITHDRAW = auto()  #: it is in vain, and nobody was told: its claims are free again
    INQUIRE = auto()  #: it is in vain, but may have been sent: its carrier is asked, no more


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What is known of it now."""

    may_have_been_sent: bool  #: the end of an earlier attempt is not known
    is_wanted: bool  #: one of its certificates at least
    must_wait: bool  #: its channel is not free now
    other_in_time: bool  #: waiting would be too late, and another channel is not
    has_address: bool  #: by which its carrier can be asked


@dataclass(frozen=True, kw_only=True)
class RecoveryCase:
    name: str
    when: Mapping[str, bool] = field(default_factory=dict)  #: fields of ``Situation``
    then: Recovery

    def fits(self, situation: Situation) -> bool:
        return self.when.items() <= asdict(situation).items()


CASES: tuple[RecoveryCase, ...] = (
    RecoveryCase(
        name="by the time its channel is free it would be too late, and it was not sent",
        when={"must_wait": True, "other_in_time": True, "may_have_been_sent": False},
        then=Recovery.SWITCH,
    ),
    RecoveryCase(name="its channel is not free", when={"must_wait": True}, then=Recovery.WAIT),
    RecoveryCase(name="it is wanted", when={"is_wanted": True}, then=Recovery.SEND),
    RecoveryCase(
        name="it is in vain and was not sent",
        when={"may_have_been_sent": False},
        then=Recovery.WITHDRAW,
    ),
    RecoveryCase(
        name="it is in vain, and nothing is left by which its carrier could be asked",
        when={"has_address": False},
        then=Recovery.WITHDRAW,
    ),
    RecoveryCase(name="it is in vain and may have been sent", then=Recovery.INQUIRE),
)


def recovery_of(situation: Situation) -> RecoveryCase:
    return next(case for case in CASES if case.fits(situation))
