"""Carries what stands in the outbox to Kafka, in its order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from renewal.delivery.settlement import buried
from renewal.store import inbox
from renewal.store import log as queries
from renewal.store.inbox import Inbox, Item
from schema.codec import LARGEST
from schema.events import Topic

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from renewal.eventlog.port import Record
    from renewal.store.claim import Claim
    from renewal.store.engine import Store
    from renewal.store.work import Work

#: Codes have a lane of their own: none waits behind a bulk run.
CODES, OTHERS = LANES = "relay.codes", "relay"
PAGE = 4_000


class Publishes(Protocol):
    def publish(self, records: Sequence[Record]) -> None: ...


def nothing(_point: str) -> None:
    """
    Stand where a crash test ends the process.
    """


@dataclass
class Relay:
    """
    One relay of a lane at a time; its place in the outbox moves only after every acknowledgement.

    Killed in between, it sends a page again: the inbox removes the doubles.
    """

    store: Store
    log: Publishes
    claim: Claim
    topics: Collection[str]  #: those that there are on Kafka
    lane: str = OTHERS
    page: int = PAGE
    probe: Callable[[str], None] = nothing
    _position: int | None = field(default=None, init=False)

    def run_once(self) -> int:
        """
        Publish the next page; return how many events it held.

        Raises:
            LogUnavailableError: nothing is lost; run again later.
            StoreUnavailableError
        """
        if not self.claim.held():
            self._position = None
            return 0
        with self.store.look() as look:
            again = inbox.due(look, self.lane, self.page)
            fresh = [Item(record=record) for record in self._next(look)]
        items = [*again, *fresh]
        if items:
            self._carry(items, fresh[-1].record.position if fresh else None)
        return len(items)

    def _next(self, look: Work) -> Sequence[Record]:
        if self._position is None:
            self._position = queries.position_of(look, self.lane)
        if self.lane == CODES:
            return queries.events_after(look, [Topic.CODES.value], self._position, self.page)
        return queries.others_after(look, Topic.CODES.value, self._position, self.page)

    def _carry(self, items: Sequence[Item], position: int | None) -> None:
        whys = [self._why_not(item.record) for item in items]
        self.probe("before the call")
        self.log.publish([item.record for item, why in zip(items, whys, strict=True) if not why])
        self.probe("after the call")
        with self.store.work() as work:
            own = Inbox(work, self.lane)
            for item, why in zip(items, whys, strict=True):
                own.unpark(item)
                if why:
                    own.bury(item, why, tries=item.tries)
                    work.emit(buried(item, self.lane, why, work.at))
            own.flush()
            if position is not None:
                queries.move_on(work, self.lane, position)
        self._position = position or self._position
        self.probe("after commit")

    def _why_not(self, record: Record) -> str | None:
        """
        Why Kafka would never take it: that one must not keep all others waiting.
        """
        if record.topic not in self.topics:
            return f"no topic {record.topic} is declared: name its branch in XUQI_BRANCHES"
        if len(record.body) > LARGEST:
            return f"{len(record.body)} bytes are more than an event's {LARGEST}"
        return None
