"""Carries what stands in the outbox to Kafka, in its order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from renewal.store import log as queries

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from renewal.eventlog.port import Record
    from renewal.store.claim import Claim
    from renewal.store.engine import Store

GROUP = "relay"
PAGE = 2_000


class Publishes(Protocol):
    def publish(self, records: Sequence[Record]) -> None: ...


def nothing(_point: str) -> None:
    """
    Stand where a crash test ends the process.
    """


@dataclass
class Relay:
    """
    One relay at a time; its place in the outbox moves only after every acknowledgement.

    Killed in between, it sends a page again: the inbox removes the doubles.
    """

    store: Store
    log: Publishes
    claim: Claim
    page: int = PAGE
    probe: Callable[[str], None] = nothing
    _position: int | None = None

    def run_once(self) -> int:
        """
        Publish the next page; return how many events it held.

        Raises:
            LogUnavailableError: nothing is lost; run again later.
        """
        if not self.claim.held():
            self._position = None
            return 0
        with self.store.look() as look:
            if self._position is None:
                self._position = queries.position_of(look, GROUP)
            records = queries.all_after(look, self._position, self.page)
        if not records:
            return 0
        self.probe("before the call")
        self.log.publish(records)
        self.probe("after the call")
        with self.store.work() as work:
            queries.move_on(work, GROUP, records[-1].position)
        self._position = records[-1].position
        self.probe("after commit")
        return len(records)
