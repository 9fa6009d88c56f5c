"""Passes on to the station what was typed on its screen, once."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from schema.reasons import TokenReason
    from token_station.journal import JournalEntry


@dataclass
class PersonAtScreen:
    """A PIN is given out a single time and then forgotten: the machine never repeats it."""

    _pins: dict[str, str] = field(default_factory=dict, repr=False)
    _released: set[str] = field(default_factory=set)
    _given_up: dict[str, bool] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def offer(self, renewal: str, pin: str) -> None:
        with self._lock:
            self._pins[renewal] = pin

    def release_last_try(self, renewal: str) -> None:
        """A clerk has agreed that the last try is used: for the next PIN, and for no other."""
        with self._lock:
            self._released.add(renewal)

    def is_released(self, renewal: str) -> bool:
        with self._lock:
            return renewal in self._released

    def answer_giving_up(self, renewal: str, *, agreed: bool) -> None:
        """The token's holder has said whether a key that is not ours may be destroyed."""
        with self._lock:
            self._given_up[renewal] = agreed

    def gives_up_key(self, job: JournalEntry, _key_slot: str, _found: TokenReason) -> bool | None:
        with self._lock:
            return self._given_up.pop(job.renewal, None)

    def pin(self, job: JournalEntry, _tries_left: int | None) -> str | None:
        with self._lock:
            return self._pins.pop(job.renewal, None)

    def releases_last_try(self, job: JournalEntry) -> bool:
        with self._lock:
            released = job.renewal in self._released
            self._released.discard(job.renewal)
            return released
