"""Lets nothing be scanned, sent or given up by a clock that has leapt, until a person agrees."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from renewal.clock import elapsed
from renewal.db.retry import retry_on_conflict
from renewal.errors import XuqiError
from renewal.rules.clocks import Judgement, judge
from renewal.store import alarms, clock_marks
from renewal.store.alarms import Kind

if TYPE_CHECKING:
    from renewal.db.engine import Store
    from renewal.db.unit_of_work import UnitOfWork

log = logging.getLogger(__name__)

#: So often a process looks; in between the clock could leap unseen for as long.
LOOK_EVERY = timedelta(seconds=5)


class ClockDoubtedError(XuqiError):
    """The machine's clock has leapt: nothing is decided by it."""


@dataclass
class ClockGuard:
    """Of one process. Safe to use from several threads."""

    store: Store
    _last: datetime | None = None  #: what the clock said at the last look
    _at: timedelta = timedelta(0)  #: when that was, in time that only runs
    _doubts: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self) -> None:
        """
        Look at the clock, if the last look was not just now.

        Raises:
            ClockDoubtedError: set it right, or agree with it (`xuqi clock accept`).
        """
        with self._lock:
            ran = elapsed(self.store.clock) - self._at
            if self._doubts or ran >= LOOK_EVERY or self._has_moved(ran):
                self._look()
            if self._doubts:
                raise ClockDoubtedError(
                    "the machine's clock has leapt: set it right, or, if it is right now, "
                    "`xuqi clock accept --who NAME --why REASON`"
                )

    def _has_moved(self, ran: timedelta) -> bool:
        if self._last is None:
            return True
        return abs(self.store.clock.now() - self._last - ran) > LOOK_EVERY

    @retry_on_conflict
    def _look(self) -> None:
        with self.store.transaction() as work:
            mark, now = clock_marks.mark_of(work), work.uptime.ran
            doubted = mark is not None and mark.doubted_at is not None
            if self._doubts and not doubted:
                self._last = None  # a person has agreed
            seen = mark.seen_at if mark else None
            judged = judge(work.at, seen, last=self._last, ran=now - self._at)
            was, newcomer = self._doubts, self._last is None and doubted
            self._doubts = judged is Judgement.LEAPT or newcomer
            if self._doubts:
                _doubted(work, mark)
                return
            if judged is Judgement.SET_BACK and seen is not None:
                _set_back(work, seen)
            self._last, self._at = work.at, now
            if was and doubted:
                accept(work)  # it has come right by itself
            elif not doubted:  # else it is another host whose clock is doubted
                clock_marks.believe(work)


def _doubted(work: UnitOfWork, mark: clock_marks.Mark | None) -> None:
    if mark is None or mark.doubted_at is None:
        clock_marks.doubt(work)
        alarms.raise_alarm(work, Kind.CLOCK, "clock", "leapt")
        log.error("the clock has leapt: nothing is scanned or sent until `xuqi clock accept`")


def _set_back(work: UnitOfWork, seen: datetime) -> None:
    moved = clock_marks.bring_forward(work, max(timedelta(0), seen - work.at))
    alarms.raise_alarm(work, Kind.CLOCK, "clock", "set back")
    log.warning("the clock was set back", extra={"seen": seen, "moved": moved})


def accept(work: UnitOfWork) -> None:
    """Agree that the clock is right now: everything goes on from here."""
    clock_marks.believe(work)
    alarms.end_of(work, Kind.CLOCK, "clock")
