"""What the simulation requires of the bank: do its work, and a counter at each branch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from renewal.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from token_station.reader_views import ReaderView
    from xuqi.bootstrap import App

#: Which token asks for its PIN, and how many tries are left, if it tells: the answer, or not now.
TypePin = Callable[[str, "int | None"], "str | None"]


class Pulled(NamedTuple):
    """The hand that takes the token out: at the n-th command from now, before it or after it."""

    command: int
    after: bool


class MovedClock(Clock, Protocol):
    """A clock that stands until the story moves it."""

    def advance_to(self, moment: datetime) -> None: ...


class Counter(Protocol):
    """A branch's station with two readers, as whoever stands there meets it."""

    def insert(self, reader: int, card: Path, pulled: Pulled | None = None) -> None:
        """Put the card of this file into the reader 0 or 1."""
        ...

    def look(self) -> Sequence[ReaderView]:
        """Let the station look at each reader, and take its job there as far as it goes now."""
        ...

    def pull(self, reader: int) -> bool:
        """Take the card out; say whether it was still in there."""
        ...


class SimulatedBank(Protocol):
    """Every component, however many processes they are in. The story moves its clock."""

    app: App
    clock: MovedClock
    next_due: datetime | None  #: when the next waiting is over, as it was at the end of the work

    def tick(self) -> None:
        """Let each job of the scheduler look once."""
        ...

    def work(self) -> None:
        """Return when nothing is left to be done at this moment of the clock."""
        ...

    def counter(self, branch: str, type_pin: TypePin) -> Counter: ...
