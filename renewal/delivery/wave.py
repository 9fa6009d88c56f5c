"""As much of a batch as can be done at once: one event of each key that uses the network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from renewal.delivery.failures import complain, in_halves, what_failed
from renewal.delivery.settlement import FIRST_WAIT
from renewal.eventlog.trace import About
from renewal.outcome import IfInterrupted, Outcome, Reject, Retry
from renewal.store.inbox import OPEN, Item
from renewal.store.shelf import ConflictError
from schema.codec import UnreadableEventError, decode, kind_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from renewal.delivery.batches import Delivery
    from renewal.delivery.settlement import Settlement
    from schema.events import Event


@dataclass(frozen=True, slots=True)
class Begun:
    """
    An order that is on record as begun.
    """

    item: Item
    order: object
    unsure: bool  #: nobody knows the end of an attempt before this one


@dataclass
class Wave:
    """
    Prepares what it can of the items; the rest is ``held`` for the wave after it.
    """

    delivery: Delivery
    held: list[Item] = field(default_factory=list)
    begun: list[Begun] = field(default_factory=list)
    failed: list[tuple[Item, Outcome]] = field(default_factory=list)

    def prepare(self, items: Sequence[Item]) -> None:
        """
        Put what each event leads to on record.
        """
        in_halves(self._prepare_together, items, self._fail)
        if self.failed:
            self._settle_failed()

    def _prepare_together(self, items: Sequence[Item]) -> None:
        with self.delivery.settlement() as settlement:
            part = _Part(self, settlement)
            part.prepare(items)
        self.held += part.held
        self.begun += part.begun

    def _fail(self, item: Item, error: Exception) -> None:
        with About(item.record):
            complain("preparing failed", self.delivery.consumer.group, error)
        outcome: Outcome = Reject(what_failed(error))
        if isinstance(error, ConflictError):
            outcome = Retry(FIRST_WAIT, str(error))
        self.failed.append((item, outcome))

    def _settle_failed(self) -> None:
        with self.delivery.settlement() as settlement:
            settlement.inbox.load([item.record.identity for item, _ in self.failed])
            for item, outcome in self.failed:
                unsure = settlement.inbox.state(item) in OPEN
                settlement.settle(item, outcome, unsure=unsure)

    def busy_keys(self) -> set[str]:
        """
        Keys of which an event is on its way, so that a later one cannot be prepared yet.
        """
        items = [*(begun.item for begun in self.begun), *(item for item, _ in self.failed)]
        return {item.record.key for item in items}


class _Part:
    """
    The part of a wave that is prepared in one transaction.
    """

    def __init__(self, wave: Wave, settlement: Settlement) -> None:
        self.held: list[Item] = []
        self.begun: list[Begun] = []
        self._consumer = wave.delivery.consumer
        self._settlement = settlement
        self._inbox = settlement.inbox
        self._busy = wave.busy_keys()
        self._waiting: set[str] = set()

    def prepare(self, items: Sequence[Item]) -> None:
        self._inbox.load([item.record.identity for item in items])
        read = self._readable([item for item in items if not self._is_over(item)])
        fresh = {item.record.key for item, _ in read if item.parked is None}
        self._waiting = self._inbox.keys_that_wait(fresh)
        if read:
            self._consumer.preload([event for _, event in read], self._settlement.work)
        for item, event in read:
            self._take(item, event)

    def _is_over(self, item: Item) -> bool:
        over = item.is_dealt_with(self._inbox.state(item))
        if over:
            self._inbox.unpark(item)
        return over

    def _readable(self, items: Sequence[Item]) -> list[tuple[Item, Event]]:
        found = []
        for item in items:
            try:
                found.append((item, self._read(item)))
            except UnreadableEventError as error:
                self._settlement.settle(item, Reject(f"not readable: {error}"), unsure=False)
        return found

    def _read(self, item: Item) -> Event:
        event = decode(item.record.body)
        if not isinstance(event, self._consumer.kinds):
            raise UnreadableEventError(f"a {kind_of(event)} that lay on the log as another kind")
        return event

    def _take(self, item: Item, event: Event) -> None:
        key = item.record.key
        unsure = self._inbox.state(item) in OPEN
        if key in self._busy:
            self.held.append(item)
        elif item.parked is None and key in self._waiting:
            self._settlement.park_behind(item, unsure=unsure)
        else:
            self._prepare(item, event, unsure=unsure)

    def _prepare(self, item: Item, event: Event, *, unsure: bool) -> None:
        again = unsure and self._asks()
        with About(item.record):
            answer = self._consumer.prepare(event, self._settlement.work, again=again)
        if not isinstance(answer, Outcome):
            self._settlement.begin(item)
            self._busy.add(item.record.key)
            self.begun.append(Begun(item, answer, unsure))
            return
        self._settlement.settle(item, answer, unsure=unsure)
        if isinstance(answer, Retry):
            self._waiting.add(item.record.key)

    def _asks(self) -> bool:
        return getattr(self._consumer, "if_interrupted", None) is IfInterrupted.ASK
