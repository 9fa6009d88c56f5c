"""One pass over a batch: at most one in-flight event for each key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from renewal.db.identity_map import ConflictError
from renewal.delivery.calls import PendingCall
from renewal.delivery.failures import bisect_on_failure, describe_failure, log_failure
from renewal.delivery.inbox import OPEN, InboxItem
from renewal.delivery.settlement import FIRST_WAIT
from renewal.eventlog.trace import trace_context
from renewal.outcome import IfInterrupted, Outcome, Reject, Retry
from schema.codec import UnreadableEventError, decode, kind_of
from schema.reasons import OutcomeReason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from renewal.delivery.consumer import Consumer
    from renewal.delivery.settlement import Settlement
    from schema.events import Event


@dataclass
class BatchPass:
    """Prepares as many items as possible; the rest is ``held`` for the next pass."""

    consumer: Consumer
    settlement: Callable[[], AbstractContextManager[Settlement]]  #: one transaction of it
    held: list[InboxItem] = field(default_factory=list)
    pending: list[PendingCall] = field(default_factory=list)
    failed: list[tuple[InboxItem, Outcome]] = field(default_factory=list)

    def prepare(self, items: Sequence[InboxItem]) -> None:
        """Prepare the items and record the intent of each."""
        bisect_on_failure(self._prepare_together, items, self._fail)
        if self.failed:
            self._settle_failed()

    def _prepare_together(self, items: Sequence[InboxItem]) -> None:
        with self.settlement() as settlement:
            part = _PrepareTransaction(self, settlement)
            part.prepare(items)
        self.held += part.held
        self.pending += part.pending

    def _fail(self, item: InboxItem, error: Exception) -> None:
        with trace_context(item.record):
            log_failure("preparing failed", self.consumer.group, error)
        outcome: Outcome = Reject(OutcomeReason.FAILED.why(detail=describe_failure(error)))
        if isinstance(error, ConflictError):
            outcome = Retry(FIRST_WAIT, OutcomeReason.CHANGED_MEANWHILE.why(detail=str(error)))
        self.failed.append((item, outcome))

    def _settle_failed(self) -> None:
        with self.settlement() as settlement:
            settlement.inbox.load([item.record.identity for item, _ in self.failed])
            for item, outcome in self.failed:
                unsure = settlement.inbox.state(item) in OPEN
                settlement.settle(item, outcome, unsure=unsure)

    def busy_keys(self) -> set[str]:
        """Keys with an event in progress, so that a later one cannot be prepared yet."""
        items = [*(begun.item for begun in self.pending), *(item for item, _ in self.failed)]
        return {item.record.key for item in items}


class _PrepareTransaction:
    """The items of a pass that are prepared in one transaction."""

    def __init__(self, batch_pass: BatchPass, settlement: Settlement) -> None:
        self.held: list[InboxItem] = []
        self.pending: list[PendingCall] = []
        self._consumer = batch_pass.consumer
        self._settlement = settlement
        self._inbox = settlement.inbox
        self._busy = batch_pass.busy_keys()
        self._waiting: set[str] = set()

    def prepare(self, items: Sequence[InboxItem]) -> None:
        self._inbox.load([item.record.identity for item in items])
        read = self._readable([item for item in items if not self._is_over(item)])
        fresh = {item.record.key for item, _ in read if item.parked is None}
        self._waiting = self._inbox.blocked_keys(fresh)
        if read:
            self._consumer.preload([event for _, event in read], self._settlement.work)
        for item, event in read:
            self._prepare_or_block(item, event)

    def _is_over(self, item: InboxItem) -> bool:
        over = item.is_dealt_with(self._inbox.state(item))
        if over:
            self._inbox.unpark(item)
        return over

    def _readable(self, items: Sequence[InboxItem]) -> list[tuple[InboxItem, Event]]:
        found = []
        for item in items:
            try:
                found.append((item, self._read(item)))
            except UnreadableEventError as error:
                unreadable = OutcomeReason.UNREADABLE.why(detail=str(error))
                self._settlement.settle(item, Reject(unreadable), unsure=False)
        return found

    def _read(self, item: InboxItem) -> Event:
        event = decode(item.record.body)
        if not isinstance(event, self._consumer.kinds):
            raise UnreadableEventError(f"not the header's kind: {kind_of(event)}")
        return event

    def _prepare_or_block(self, item: InboxItem, event: Event) -> None:
        key = item.record.key
        unsure = self._inbox.state(item) in OPEN
        if key in self._busy:
            self.held.append(item)
        elif item.parked is None and key in self._waiting:
            self._settlement.block_on_key(item, unsure=unsure)
        else:
            self._prepare(item, event, unsure=unsure)

    def _prepare(self, item: InboxItem, event: Event, *, unsure: bool) -> None:
        again = unsure and self._must_inquire()
        with trace_context(item.record):
            answer = self._consumer.prepare(event, self._settlement.work, outcome_unknown=again)
        if not isinstance(answer, Outcome):
            self._settlement.begin(item)
            self._busy.add(item.record.key)
            self.pending.append(PendingCall(item, answer, unsure))
            return
        self._settlement.settle(item, answer, unsure=unsure)
        if isinstance(answer, Retry):
            self._waiting.add(item.record.key)

    def _must_inquire(self) -> bool:
        return getattr(self._consumer, "if_interrupted", None) is IfInterrupted.ASK
