"""Takes one consumer's events from the log, batch by batch."""

from __future__ import annotations

import logging
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from renewal.delivery.consumer import Preloading, unwanted
from renewal.delivery.failures import Lately, complain, in_halves, what_failed
from renewal.delivery.orders import BEGINS_WITHIN, Hands, carry_out
from renewal.delivery.settlement import FIRST_WAIT, Settlement
from renewal.delivery.wave import Begun, Wave
from renewal.eventlog.port import LogUnavailableError
from renewal.eventlog.trace import About
from renewal.outcome import Outcome, Reject, Retry
from renewal.store import inbox
from renewal.store.inbox import Item
from renewal.store.shelf import ConflictError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from renewal.delivery.consumer import Consumer
    from renewal.eventlog.port import Reader, Record
    from renewal.store.engine import Store

log = logging.getLogger(__name__)

AT_MOST = 500
#: So many batches without an event of the consumer's own may be read again after a crash.
UNNOTED_BATCHES = 20
#: So many empty polls one after another are quiet enough for a transaction about the offset alone.
QUIET = 2


def nothing(_point: str) -> None:
    """
    Stand where a crash test ends the process.
    """


@dataclass
class Delivery:
    """
    For a batch: one transaction to prepare, some hands to carry out, one transaction to settle.

    Events of one key go one after another. ``hands`` bound how many calls are open at once;
    without it there is one at a time.
    """

    consumer: Consumer
    reader: Reader
    store: Store
    hands: Hands | None = None
    at_most: int = AT_MOST
    probe: Callable[[str], None] = nothing
    _lately: Lately = field(default_factory=Lately)
    #: Carried out, and not on record because the database was away: no call is made twice for it.
    _unrecorded: dict[str, tuple[Begun, object]] = field(default_factory=dict)
    #: All up to here is dealt with. The next transaction notes it; until then the inbox knows.
    _unnoted: Record | None = None
    _unnoted_batches: int = 0
    _empty_polls: int = 0

    def run_once(self, wait: timedelta = timedelta(0)) -> int:
        """
        Deliver what is due; return how many events were looked at.

        Raises:
            TooManyFailuresError: the process must stop.
            StoreUnavailableError, LogUnavailableError: nothing is lost; run again later.
        """
        self._conclude(list(self._unrecorded.values()))
        waited = self._deliver_waiting()
        records = self.reader.poll(self.at_most, timedelta(0) if waited else wait)
        self._deliver_records(records)
        return waited + len(records)

    def _deliver_waiting(self) -> int:
        """
        Deliver the parked events whose time has come, unless another process does.
        """
        if not self._due():
            return 0
        with closing(self.store.claim(f"{self.consumer.group}.waiting")) as claim:
            due = self._due() if claim.held() else ()
            self._deliver(due)
        return len(due)

    def _due(self) -> Sequence[Item]:
        with self.store.look() as look:
            return inbox.due(look, self.consumer.group, self.at_most)

    def _deliver_records(self, records: Sequence[Record]) -> None:
        if records:
            self._deliver(self._for_us(records))
            self._unnoted = records[-1]
            self._unnoted_batches += 1
        self._empty_polls = 0 if records else self._empty_polls + 1
        if self._unnoted and (
            self._empty_polls >= QUIET or self._unnoted_batches > UNNOTED_BATCHES
        ):
            with self.settlement():
                pass
        if records:
            self.probe("before the offset")
            self._commit(records[-1])
            self.probe("after the offset")

    def _for_us(self, records: Sequence[Record]) -> list[Item]:
        """
        The first copy of each. A kind that nobody knows is no event: it is looked at, and buried.
        """
        others = unwanted(self.consumer)
        first: dict[str, Record] = {}
        for record in records:
            if record.kind not in others:
                first.setdefault(record.identity, record)
        return [Item(record=record) for record in first.values()]

    def _commit(self, last: Record) -> None:
        try:
            self.reader.commit(last)
        except LogUnavailableError as error:  # harmless: they are read again, the inbox knows them
            complain("the offset was not committed", self.consumer.group, error)

    def _deliver(self, items: Sequence[Item]) -> None:
        while items:
            self.probe("begin")
            since = self.store.clock.now()
            wave = Wave(self)
            wave.prepare(items)
            if wave.begun:
                self._act(wave.begun, since)
            items = wave.held

    def _act(self, begun: Sequence[Begun], since: datetime) -> None:
        def too_late() -> bool:
            return self.store.clock.now() - since > BEGINS_WITHIN

        self.probe("after intent")
        answers = carry_out(self.consumer, begun, self.hands, self.probe, too_late)
        self.probe("after answer")
        self._conclude(list(zip(begun, answers, strict=True)))

    def _conclude(self, done: Sequence[tuple[Begun, object]]) -> None:
        """
        Put what was done on record.

        Raises:
            TooManyFailuresError: only then; what was done is not forgotten for it.
        """
        if not done:
            return
        self._unrecorded = {begun.item.record.identity: (begun, answer) for begun, answer in done}
        in_halves(self._conclude_together, done, self._conclude_failed)
        self._lately.check(self.consumer.group)

    def _conclude_together(self, done: Sequence[tuple[Begun, object]]) -> None:
        acting: Any = self.consumer
        with self.settlement(stop=False) as settlement:
            settlement.inbox.load([begun.item.record.identity for begun, _ in done])
            if isinstance(acting, Preloading):
                acting.preload_orders([begun.order for begun, _ in done], settlement.work)
            for begun, answer in done:
                if not settlement.is_open(begun.item):
                    continue
                outcome = answer
                if not isinstance(answer, Outcome):
                    with About(begun.item.record):
                        outcome = acting.conclude(begun.order, answer, settlement.work)
                settlement.settle(begun.item, outcome, unsure=begun.unsure)
        for begun, _ in done:
            del self._unrecorded[begun.item.record.identity]

    def _conclude_failed(self, done: tuple[Begun, object], error: Exception) -> None:
        """
        It was done, and cannot be put on record: begin again if somebody else was always first, for
        then it is asked about or may be repeated; else tell staff.
        """
        with About(done[0].item.record):
            complain("concluding failed", self.consumer.group, error)
        why = f"carried out, but: {what_failed(error)}"
        outcome: Outcome = Reject(why)
        if isinstance(error, ConflictError):
            outcome = Retry(FIRST_WAIT, why, unsure=True)
        with self.settlement(stop=False) as settlement:
            settlement.inbox.load([done[0].item.record.identity])
            settlement.settle(done[0].item, outcome, unsure=done[0].unsure)
        del self._unrecorded[done[0].item.record.identity]

    @contextmanager
    def settlement(self, *, stop: bool = True) -> Iterator[Settlement]:
        """
        One transaction of this consumer; it also notes how far the log is dealt with.

        Raises:
            TooManyFailuresError: with ``stop``; nothing of the transaction is there then.
        """
        unnoted = self._unnoted
        with self.store.work() as work:
            settlement = Settlement(work, self.consumer.group)
            yield settlement
            if stop:
                self._lately.check(self.consumer.group, settlement.seen)
            settlement.inbox.flush()
            if unnoted is not None:
                self.reader.settle(unnoted, work)
            self.probe("before commit")
        self.probe("committed")
        if stop:
            self._lately.extend(settlement.seen)
        else:
            self._lately.end(settlement.seen)
        self._unnoted, self._unnoted_batches = None, 0
