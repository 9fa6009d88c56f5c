"""The clock, the only module that reads the time."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Protocol
from uuid import uuid4

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: Taiwan has kept UTC+8 without summer time since 1980.
TAIPEI = timezone(timedelta(hours=8), "Asia/Taipei")


class Clock(Protocol):
    def now(self) -> datetime:
        """Return the moment, in UTC, with its time zone."""
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class VirtualClock:
    """
    A clock that stands until it is moved, for tests and the demo.

    Each reading is one microsecond after the one before, so that what happened in
    an order also has times in that order.
    """

    def __init__(self, start: datetime) -> None:
        self._now = start
        self._set_by = timedelta(0)
        self.boot = f"virtual {uuid4()}"
        self._lock = threading.Lock()

    def now(self) -> datetime:
        with self._lock:
            self._now += timedelta(microseconds=1)
            return self._now

    def advance_to(self, moment: datetime) -> None:
        """Move on to the moment; never back."""
        with self._lock:
            self._now = max(self._now, moment)

    def set(self, moment: datetime) -> None:
        """Show another moment, also an earlier one, as if somebody had set it: no time passes."""
        with self._lock:
            self._set_by += moment - self._now
            self._now = moment

    def elapsed(self) -> timedelta:
        """How far it was moved on: a clock that is moved on purpose has not leapt."""
        with self._lock:
            return self._now - self._set_by - _EPOCH


@dataclass(frozen=True, kw_only=True)
class Uptime:
    """How long a machine has run since it was started; no setting of its clock changes that."""

    boot: str  #: names that start; empty: it is not known
    ran: timedelta

    def since(self, before: Uptime) -> timedelta | None:
        """How much later this is than the other; ``None``: they are not of one start."""
        later = self.ran - before.ran
        is_known = self.boot and self.boot == before.boot and later >= timedelta(0)
        return later if is_known else None


#: Two readings of a clock between which no more time goes by are of one moment.
_AT_ONCE = timedelta(seconds=1)
_TRIES = 10  # a machine that is so busy that every one takes a second still has an answer


def moment(clock: Clock) -> tuple[datetime, Uptime]:
    """
    What the clock says, and how long the machine had run then: read anew where the process was
    stopped in between, or the pause would look like a clock that was set.
    """
    for _ in range(_TRIES):
        ran, now = uptime(clock), clock.now()
        if elapsed(clock) - ran.ran <= _AT_ONCE:
            break
    return now, ran


def uptime(clock: Clock) -> Uptime:
    """
    Every process of one host names the same start, until it is started anew; a clock of a trial
    names its own, if its time is one that others can measure too.
    """
    is_system = not hasattr(clock, "elapsed")
    boot = _boot() if is_system else getattr(clock, "boot", "")
    return Uptime(boot=boot, ran=elapsed(clock))


@cache
def _boot() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        # A container may have a start of its own (time_namespaces(7)).
        return f"{boot} {Path('/proc/self/ns/time').stat().st_ino}"
    except OSError:  # no Linux, or one that does not show it
        return ""


def elapsed(clock: Clock) -> timedelta:
    """Time that only runs: no setting of the clock changes it. A clock of a trial says its own."""
    own = getattr(clock, "elapsed", None)
    if own is not None:
        found: timedelta = own()
        return found
    # Other than CLOCK_MONOTONIC it goes on while the machine sleeps (clock_gettime(2)).
    return timedelta(seconds=time.clock_gettime(time.CLOCK_BOOTTIME))
