"""Decides when carriers' reports are enough to rest an address, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Failures further apart are no repetition: a phone is abroad, a server is down, a box is full.
TOGETHER = timedelta(days=14)
#: So long is remembered that an address has rested before.
REMEMBERED = timedelta(days=180)
#: Of the first rest, the second, and each later one. None is for ever: numbers and mailboxes are
#: given to others, blocks are lifted, and a carrier that is wrong once is not wrong for good.
RESTS = (timedelta(days=7), timedelta(days=30), timedelta(days=90))
#: A code is asked for by its customer, who holds the phone in his hand: only codes that failed,
#: once more than for reminders, let it rest, and the next day he may try again.
CODES_REST = timedelta(days=1)


@dataclass(frozen=True)
class Proof:
    """That a message did not arrive. ``needed``: so many of its kind are proof."""

    at: datetime
    needed: int


def rests_until(proofs: Sequence[Proof], latest: Proof, *, codes: bool) -> datetime | None:
    """
    Return until when an address rests after the ``latest`` failure, or ``None``: it does not.

    ``proofs``: those before it, of the same address and lane, since something last arrived there.
    """
    if not latest.needed:
        return None
    alike = [one for one in proofs if 0 < one.needed <= latest.needed]
    together = [one for one in alike if latest.at - one.at <= TOGETHER]
    if len(together) + 1 < latest.needed + codes:
        return None
    if codes:
        return latest.at + CODES_REST
    earlier = sum(1 for one in alike if latest.at - one.at <= REMEMBERED) + 1
    return latest.at + RESTS[min(earlier // latest.needed, len(RESTS)) - 1]
