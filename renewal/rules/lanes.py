"""Decides when a lane is stopped and how it is probed."""

from __future__ import annotations

from datetime import timedelta

#: So many different addresses refused one after the other, and nothing taken between them: a bank
#: has one bad address in fifty at the most, so ten in a row by chance is one case in 10^17.
MANY_IN_A_ROW = 10
#: A number that nobody knows may speak of one odd message: three in a row speak of us.
UNKNOWN_IN_A_ROW = 3
#: What is stopped for a person to mend is tried so often, with one message: a code waits for no
#: person, so that its lane is tried each minute.
TRIED_EVERY = {"sms codes": timedelta(minutes=1)}
TRIED_EVERY_ELSE = timedelta(minutes=15)


def tried_every(lane: str) -> timedelta:
    return TRIED_EVERY.get(lane, TRIED_EVERY_ELSE)
