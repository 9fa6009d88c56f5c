"""Publishes the outbox to Kafka in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from renewal.delivery import inbox
from renewal.delivery.inbox import Inbox, InboxItem
from renewal.delivery.settlement import dead_letter_event
from renewal.eventlog import queries
from schema.codec import LARGEST
from schema.events import Topic
from schema.reasons import OutcomeReason

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from renewal.db.advisory_lock import AdvisoryLock
    from renewal.db.engine import Store
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.eventlog.port import Record
    from schema.reasons import Reason

#: Codes have a lane of their own: none waits behind a bulk run.
CODES, OTHERS = LANES = "relay.codes", "relay"
PAGE = 4_000


class Publishes(Protocol):
    def publish(self, records: Sequence[Record]) -> None: ...


def no_probe(_point: str) -> None:
    """The hook where a crash test ends the process."""


@dataclass
class Relay:
    """
    The one relay of a lane; its offset advances only after every acknowledgement.

    Killed in between, it publishes a page twice, and the inbox drops the copies.
    """

    store: Store
    log: Publishes
    claim: AdvisoryLock
    topics: Collection[str]  #: those that there are on Kafka
    lane: str = OTHERS
    page: int = PAGE
    probe: Callable[[str], None] = no_probe
    _position: int | None = field(default=None, init=False)

    def run_once(self) -> int:
        """
        Publish the next page; return the number of its events.

        Raises:
            LogUnavailableError: nothing is lost; run again later.
            StoreUnavailableError
        """
        if not self.claim.acquire():
            self._position = None
            return 0
        with self.store.snapshot() as look:
            again = inbox.due(look, self.lane, self.page)
            fresh = [InboxItem(record=record) for record in self._next(look)]
        items = [*again, *fresh]
        if items:
            self._carry(items, fresh[-1].record.position if fresh else None)
        return len(items)

    def _next(self, look: UnitOfWork) -> Sequence[Record]:
        if self._position is None:
            self._position = queries.position_of(look, self.lane)
        if self.lane == CODES:
            return queries.events_after(look, [Topic.CODES.value], self._position, self.page)
        return queries.others_after(look, Topic.CODES.value, self._position, self.page)

    def _carry(self, items: Sequence[InboxItem], position: int | None) -> None:
        whys = [self._why_not(item.record) for item in items]
        self.probe("before the call")
        self.log.publish([item.record for item, why in zip(items, whys, strict=True) if not why])
        self.probe("after the call")
        with self.store.transaction() as work:
            own = Inbox(work, self.lane)
            for item, why in zip(items, whys, strict=True):
                own.unpark(item)
                if why:
                    own.add_dead_letter(item, why, tries=item.tries)
                    work.emit(dead_letter_event(item, self.lane, why, work.at))
            own.flush()
            if position is not None:
                queries.advance(work, self.lane, position)
        self._position = position or self._position
        self.probe("after commit")

    def _why_not(self, record: Record) -> Reason | None:
        """Why Kafka would never accept the event, which must not block all others."""
        if record.topic not in self.topics:
            return OutcomeReason.NO_TOPIC.why(topic=record.topic)
        if len(record.body) > LARGEST:
            return OutcomeReason.TOO_LARGE.why(bytes=len(record.body), limit=LARGEST)
        return None
