"""The only module that asks what time it is."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone
from typing import Protocol

#: Taiwan has kept UTC+8 without summer time since 1980.
TAIPEI = timezone(timedelta(hours=8), "Asia/Taipei")


class Clock(Protocol):
    def now(self) -> datetime:
        """
        Return the moment, in UTC, with its time zone.
        """
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
        self._lock = threading.Lock()

    def now(self) -> datetime:
        with self._lock:
            self._now += timedelta(microseconds=1)
            return self._now

    def advance_to(self, moment: datetime) -> None:
        """
        Move on to the moment; never back.
        """
        with self._lock:
            self._now = max(self._now, moment)
