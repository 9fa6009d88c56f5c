"""A reader with one simulated card, which can be pulled on demand."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from token_station.errors import CardRemovedError

if TYPE_CHECKING:
    from token_station.port import Transport
    from token_station.simulator.card import SimulatedCard


@dataclass
class _Fault:
    countdown: int
    after: bool


class SimulatedReader:
    """A reader in this process; card and hand may come from different threads."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._lock = threading.RLock()
        self._card: SimulatedCard | None = None
        self._visit = 0  # counts insertions: a connection belongs to one of them
        self._fault: _Fault | None = None

    def __repr__(self) -> str:
        return f"SimulatedReader({self.name!r})"

    @property
    def card(self) -> SimulatedCard | None:
        """The card in the reader now."""
        return self._card

    def connect(self) -> Transport | None:
        """Return a fresh connection to the card in the reader, or ``None`` if there is none."""
        with self._lock:
            return None if self._card is None else _Connection(self, self._visit)

    def insert(self, card: SimulatedCard) -> None:
        """Put the card in. One that is in there is pulled first."""
        with self._lock:
            self.pull()
            self._visit += 1
            self._card = card
            card.power_on()

    def pull(self) -> None:
        """Take the card out, if there is one; every connection to it is dead for good."""
        with self._lock:
            card, self._card, self._fault = self._card, None, None
            if card is not None:
                card.power_off()

    def pull_before(self, n: int) -> None:
        """Pull the card when the n-th command from now (1 is the next) comes, before it has it."""
        self._set_fault(n, after=False)

    def pull_after(self, n: int) -> None:
        """Pull the card when it has done the n-th command from now; its answer is lost."""
        self._set_fault(n, after=True)

    def _set_fault(self, n: int, *, after: bool) -> None:
        if n < 1:
            raise ValueError(f"the next command is number 1, there is no number {n}")
        with self._lock:
            self._fault = _Fault(n, after)

    def _transmit(self, visit: int, frame: bytes) -> tuple[bytes, int]:
        with self._lock:
            fault = self._due_fault()
            if fault is not None and not fault.after:
                self.pull()
            if self._card is None or visit != self._visit:
                raise CardRemovedError(f"the token was taken out of the reader {self.name}")
            answer = self._card.transmit(frame)
            if fault is not None:
                self.pull()
                raise CardRemovedError(f"the token was taken out of the reader {self.name}")
            return answer

    def _due_fault(self) -> _Fault | None:
        if self._fault is None:
            return None
        self._fault.countdown -= 1
        return self._fault if self._fault.countdown == 0 else None


@dataclass(frozen=True)
class _Connection:
    reader: SimulatedReader
    visit: int

    def transmit(self, frame: bytes) -> tuple[bytes, int]:
        return self.reader._transmit(self.visit, frame)  # noqa: SLF001 - the reader's own connection
