"""Judges the machine's clock by what was seen of it before, and by time that only runs."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

#: While a process is at work nothing but a wrong clock, or a machine that was paused, moves it on
#: by so much; within two hours no reminder comes on another day and no window is missed.
LEAP = timedelta(hours=2)
#: Between the last process and the next: Lunar New Year with its week-ends is ten days. What was
#: off for longer may be a copy that was restored, and would tell everything anew.
AWAY = timedelta(days=10)
#: Hosts that keep time by NTP differ by less; below it nothing is said of a clock that goes back.
SLACK = timedelta(minutes=1)
#: What was written further in the future than hosts differ was written by a clock that was ahead:
#: it is void, or a code, a session or a bar would last for as long as the clock was ahead.
AHEAD = timedelta(seconds=10)


class Judgement(StrEnum):
    GOOD = "good"
    SET_BACK = "set back"  #: it had been ahead: what was put off until then is due earlier
    LEAPT = "leapt"  #: nothing is decided by it until a person agrees


def judge(
    now: datetime, seen: datetime | None, *, last: datetime | None, ran: timedelta
) -> Judgement:
    """
    ``seen``: how far any process has seen the clock come; ``last``: what it said at this process's
    last look, since when ``ran`` has gone by as no setting of the clock can change it.
    """
    if last is not None:
        moved = (now - last) - ran
        if abs(moved) > LEAP:
            return Judgement.LEAPT
        return Judgement.SET_BACK if moved < -SLACK else Judgement.GOOD
    if seen is None:
        return Judgement.GOOD
    if abs(now - seen) > AWAY:
        return Judgement.LEAPT
    return Judgement.SET_BACK if now < seen - SLACK else Judgement.GOOD
