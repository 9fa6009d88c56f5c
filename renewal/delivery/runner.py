"""Runs one consumer over the event log, batch by batch."""

from __future__ import annotations

import logging
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from renewal.db.identity_map import ConflictError
from renewal.delivery import inbox
from renewal.delivery.batch_pass import BatchPass
from renewal.delivery.consumer import PreloadsOrders, ignored_kinds
from renewal.delivery.failures import (
    FailureBreaker,
    bisect_on_failure,
    describe_failure,
    log_failure,
)
from renewal.delivery.inbox import InboxItem
from renewal.delivery.settlement import FIRST_WAIT, Settlement
from renewal.delivery.worker_pool import START_DEADLINE, WorkerPool, carry_out
from renewal.eventlog.port import LogUnavailableError
from renewal.eventlog.trace import trace_context
from renewal.outcome import Outcome, Reject, Retry
from schema.reasons import OutcomeReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from renewal.db.engine import Store
    from renewal.delivery.calls import PendingCall
    from renewal.delivery.consumer import Consumer
    from renewal.eventlog.port import LogReader, Record

log = logging.getLogger(__name__)

BATCH_SIZE = 500
#: So many batches without an event of the consumer's own may be read again after a crash.
MAX_UNNOTED_BATCHES = 20
#: So many empty polls one after another are quiet enough for a transaction about the offset alone.
IDLE_POLLS = 2


def no_probe(_point: str) -> None:
    """The hook where a crash test ends the process."""


@dataclass
class ConsumerRunner:
    """
    For each batch: one transaction to prepare, a pool of workers to carry out, one transaction to
    settle.

    Events of one key go one after another. ``workers`` bounds the number of open calls; without it
    there is one at a time.
    """

    consumer: Consumer
    reader: LogReader
    store: Store
    workers: WorkerPool | None = None
    at_most: int = BATCH_SIZE
    probe: Callable[[str], None] = no_probe
    _breaker: FailureBreaker = field(default_factory=FailureBreaker)
    #: Carried out, and not on record because the database was away: no call is made twice for it.
    _unrecorded: dict[str, tuple[PendingCall, object]] = field(default_factory=dict)
    #: All up to here is dealt with. The next transaction notes it; until then the inbox knows.
    _unnoted: Record | None = None
    _unnoted_batches: int = 0
    _empty_polls: int = 0

    def run_once(self, wait: timedelta = timedelta(0)) -> int:
        """
        Deliver what is due; return the number of events that were handled.

        Raises:
            TooManyFailuresError: the process must stop.
            StoreUnavailableError, LogUnavailableError: nothing is lost; run again later.
        """
        self._conclude(list(self._unrecorded.values()))
        waited = self._deliver_parked()
        records = self.reader.poll(self.at_most, timedelta(0) if waited else wait)
        self._deliver_records(records)
        return waited + len(records)

    def _deliver_parked(self) -> int:
        """Deliver the parked events that are due, unless another process does."""
        if not self._due():
            return 0
        with closing(self.store.advisory_lock(f"{self.consumer.group}.waiting")) as claim:
            due = self._due() if claim.acquire() else ()
            self._deliver(due)
        return len(due)

    def _due(self) -> Sequence[InboxItem]:
        with self.store.snapshot() as look:
            return inbox.due(look, self.consumer.group, self.at_most)

    def _deliver_records(self, records: Sequence[Record]) -> None:
        if records:
            self._deliver(self._wanted(records))
            self._unnoted = records[-1]
            self._unnoted_batches += 1
        self._empty_polls = 0 if records else self._empty_polls + 1
        if self._unnoted and (
            self._empty_polls >= IDLE_POLLS or self._unnoted_batches > MAX_UNNOTED_BATCHES
        ):
            with self.settlement():
                pass
        if records:
            self.probe("before the offset")
            self._commit(records[-1])
            self.probe("after the offset")

    def _wanted(self, records: Sequence[Record]) -> list[InboxItem]:
        """
        The first copy of each wanted event. An unknown kind is wanted, because it must become a
        dead letter.
        """
        others = ignored_kinds(self.consumer)
        first: dict[str, Record] = {}
        for record in records:
            if record.kind not in others:
                first.setdefault(record.identity, record)
        return [InboxItem(record=record) for record in first.values()]

    def _commit(self, last: Record) -> None:
        try:
            self.reader.commit(last)
        except LogUnavailableError as error:  # harmless: they are read again, the inbox knows them
            log_failure("the offset was not committed", self.consumer.group, error)

    def _deliver(self, items: Sequence[InboxItem]) -> None:
        while items:
            self.probe("begin")
            since = self.store.clock.now()
            batch_pass = BatchPass(self.consumer, self.settlement)
            batch_pass.prepare(items)
            if batch_pass.pending:
                self._carry_out(batch_pass.pending, since)
            items = batch_pass.held

    def _carry_out(self, begun: Sequence[PendingCall], since: datetime) -> None:
        def too_late() -> bool:
            return self.store.clock.now() - since > START_DEADLINE

        self.probe("after intent")
        answers = carry_out(self.consumer, begun, self.workers, self.probe, too_late)
        self.probe("after answer")
        self._conclude(list(zip(begun, answers, strict=True)))

    def _conclude(self, done: Sequence[tuple[PendingCall, object]]) -> None:
        """
        Record what was done.

        Raises:
            TooManyFailuresError: nothing that was done is forgotten for it.
        """
        if not done:
            return
        self._unrecorded = {begun.item.record.identity: (begun, answer) for begun, answer in done}
        bisect_on_failure(self._conclude_together, done, self._conclude_failed)
        self._breaker.check(self.consumer.group)

    def _conclude_together(self, done: Sequence[tuple[PendingCall, object]]) -> None:
        acting: Any = self.consumer
        with self.settlement(stop=False) as settlement:
            settlement.inbox.load([begun.item.record.identity for begun, _ in done])
            if isinstance(acting, PreloadsOrders):
                acting.preload_orders([begun.order for begun, _ in done], settlement.work)
            for begun, answer in done:
                if not settlement.is_open(begun.item):
                    continue
                outcome = answer
                if not isinstance(answer, Outcome):
                    with trace_context(begun.item.record):
                        outcome = acting.conclude(begun.order, answer, settlement.work)
                settlement.settle(begun.item, outcome, unsure=begun.unsure)
        for begun, _ in done:
            del self._unrecorded[begun.item.record.identity]

    def _conclude_failed(self, done: tuple[PendingCall, object], error: Exception) -> None:
        """
        It was done and cannot be recorded. On a conflict begin again, because then it is inquired
        about or may be repeated; otherwise make a dead letter.
        """
        with trace_context(done[0].item.record):
            log_failure("concluding failed", self.consumer.group, error)
        why = OutcomeReason.NOT_RECORDED.why(detail=describe_failure(error))
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
        One transaction of this consumer; it also records how far the log is dealt with.

        Raises:
            TooManyFailuresError: with ``stop``; the transaction is rolled back.
        """
        unnoted = self._unnoted
        with self.store.transaction() as work:
            settlement = Settlement(work, self.consumer.group)
            yield settlement
            if stop:
                self._breaker.check(self.consumer.group, settlement.died)
            settlement.inbox.flush()
            if unnoted is not None:
                self.reader.settle(unnoted, work)
            self.probe("before commit")
        self.probe("committed")
        if stop:
            self._breaker.extend(settlement.died)
        else:
            self._breaker.end(settlement.died)
        self._unnoted, self._unnoted_batches = None, 0
