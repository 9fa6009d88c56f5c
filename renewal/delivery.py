"""The one place that knows of batches, the inbox, retries and dead letters."""

from __future__ import annotations

import hashlib
import logging
from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from renewal.errors import (
    GatewayRefusedError,
    GatewayUnavailableError,
    GatewayUnsureError,
    XuqiError,
)
from renewal.outcome import Done, IfInterrupted, Outcome, Reject, Retry
from renewal.store import inbox
from renewal.store.engine import StoreUnavailableError
from renewal.store.inbox import Item
from renewal.store.shelf import ConflictError
from schema.codec import UnreadableEventError, decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Executor

    from renewal.eventlog.port import Reader, Record
    from renewal.store.engine import Store
    from renewal.store.work import Work
    from schema.events import Event

log = logging.getLogger(__name__)

AT_MOST = 500
MOST_TRIES = 12
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(hours=1)
#: Once so many of the last events have died, something is wrong with us and not with them.
TOO_MANY_OF = (50, 100)


class TooManyFailuresError(XuqiError):
    """
    Most events fail: the process stops instead of burning through the log.
    """


class Consumer(Protocol):
    """
    What follows from events. ``prepare`` runs in a transaction and uses no network.
    """

    group: ClassVar[str]
    topics: ClassVar[tuple[str, ...]]
    kinds: ClassVar[tuple[type[Event], ...]]

    def preload(self, events: Sequence[Any], work: Work) -> None:
        """
        Read what a batch will need: one query for each table.
        """
        ...

    def prepare(self, event: Any, work: Work, *, again: bool) -> object:  # noqa: ANN401 - its kinds
        """
        Answer an outcome, or an order for ``carry_out``.

        ``again``: this was begun before, and nobody knows its end: find out first.
        """
        ...


class Acting(Consumer, Protocol):
    """
    A consumer that also acts upon the world outside.
    """

    if_interrupted: ClassVar[IfInterrupted]

    def carry_out(self, order: Any) -> object:  # noqa: ANN401 - its own order
        """
        Use the network, without a transaction; answer an outcome, or an answer for ``conclude``.
        """
        ...

    def conclude(self, order: Any, answer: Any, work: Work) -> Outcome:  # noqa: ANN401 - its own
        """
        Put what was done on record, in the transaction that settles the event.
        """
        ...


def nothing(_point: str) -> None:
    """
    Stand where a crash test ends the process.
    """


@dataclass
class Delivery:
    """
    Takes one consumer's events from the log, batch by batch.

    For a batch: one transaction to prepare, a bounded pool to carry out, one
    transaction to settle. Events of one key go one after another.
    """

    consumer: Consumer
    reader: Reader
    store: Store
    pool: Executor | None = None
    at_most: int = AT_MOST
    probe: Callable[[str], None] = nothing
    _lately: deque[bool] = field(default_factory=lambda: deque(maxlen=TOO_MANY_OF[1]))
    _noted: int = 0

    def run_once(self, wait: timedelta = timedelta(0)) -> int:
        """
        Deliver what is due; return how many events were looked at.

        Raises:
            TooManyFailuresError, StoreUnavailableError: nothing more is tried now.
        """
        with self.store.look() as look:
            waiting = inbox.due(look, self.consumer.group, self.at_most)
        if waiting:
            self._deliver(waiting, None)
        records = self.reader.poll(self.at_most, timedelta(0) if waiting else wait)
        if records:
            self._deliver_records(records)
        return len(waiting) + len(records)

    def _deliver_records(self, records: Sequence[Record]) -> None:
        tags = {str(kind.__struct_config__.tag) for kind in self.consumer.kinds}
        # A kind that nobody knows is no event: it is looked at, and buried.
        items = [Item(record=r) for r in records if r.kind in tags or r.kind not in KNOWN]
        last = records[-1]
        if items:
            self._deliver(items, last)
        elif last.position - self._noted >= 2 * self.at_most:
            with self.store.work() as work:
                self.reader.settle(last, work)
            self._noted = last.position
        self.reader.commit(last)

    def _deliver(self, items: Sequence[Item], last: Record | None) -> None:
        while items:
            wave = _Wave(self, items)
            wave.run(last)
            items = wave.held

    def carry_out(self, orders: Sequence[object]) -> list[object]:
        """
        Carry the orders out; each is answered, whatever happens.
        """
        assert_acting: Any = self.consumer
        many: Callable[[Sequence[object]], Iterable[object]] | None
        many = getattr(assert_acting, "carry_out_all", None)
        if many is not None and len(orders) > 1:
            return list(many(orders))
        run = map if self.pool is None else self.pool.map
        return list(run(self._carried_out, orders))

    def _carried_out(self, order: object) -> object:
        acting: Any = self.consumer
        try:
            self.probe("before the call")
            return acting.carry_out(order)
        except GatewayUnavailableError as error:
            return Retry(error.retry_after, str(error), spends_a_try=error.spends_a_try)
        except GatewayRefusedError as error:
            return Reject(str(error))
        except GatewayUnsureError as error:
            return Retry(FIRST_WAIT, f"unsure: {error}")
        except Exception as error:  # noqa: BLE001 - the outermost loop: what it did is unknown
            _complain("carrying out failed", self.consumer.group, error)
            return Retry(FIRST_WAIT, f"unsure: {type(error).__name__}")

    def settle(self, work: Work, item: Item, outcome: Outcome, notes: dict[str, str]) -> None:
        """
        Put the end of an attempt on record.
        """
        identity = item.record.identity
        if isinstance(outcome, Retry):
            tries = item.tries + outcome.spends_a_try
            if tries < MOST_TRIES:
                due = work.at + _wait(outcome, identity, tries)
                group = self.consumer.group
                inbox.park(work, group, item, due=due, tries=tries, why=outcome.why)
                return
            outcome = Reject(f"{tries} tries: {outcome.why}")
        if isinstance(outcome, Reject):
            inbox.bury(work, self.consumer.group, item, outcome.why)
            log.warning("dead letter", extra={"consumer": self.consumer.group, "key": identity})
        if isinstance(outcome, Done):
            for event in outcome.emit:
                work.emit(event)
        notes[identity] = "dead" if isinstance(outcome, Reject) else "settled"
        if item.parked is not None:
            inbox.unpark(work, self.consumer.group, item)
        self._lately.append(isinstance(outcome, Reject))
        if sum(self._lately) >= TOO_MANY_OF[0]:
            raise TooManyFailuresError(
                f"{sum(self._lately)} of the last {len(self._lately)} events of "
                f"{self.consumer.group} could not be handled, the last because: {outcome}"
            )


def _complain(what: str, group: str, error: Exception) -> None:
    # The error's text and its variables may hold personal data: only its kind and place are told.
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f"{place.tb_frame.f_code.co_qualname}:{place.tb_lineno}" if place else ""
    log.error(what, extra={"consumer": group, "error": type(error).__name__, "where": where})


def _known() -> frozenset[str]:
    from schema.events import KINDS  # noqa: PLC0415 - read once, here

    return frozenset(str(kind.__struct_config__.tag) for kind in KINDS)


KNOWN = _known()


def _wait(retry: Retry, identity: str, tries: int) -> timedelta:
    """
    Exponential with full jitter; the jitter comes from the event, so that a story can be told again.
    """
    if not retry.spends_a_try:
        return retry.after
    longest = min(retry.after * 2 ** min(tries - 1, 10), max(LONGEST_WAIT, retry.after))
    jitter = hashlib.sha256(f"{identity}:{tries}".encode()).digest()[0] / 255
    return longest / 2 * (1 + jitter)


class _Wave:
    """
    As much of a batch as can be done at once: one event of each key that uses the network.
    """

    def __init__(self, delivery: Delivery, items: Sequence[Item]) -> None:
        self.delivery = delivery
        self.items = items
        self.held: list[Item] = []
        self.orders: list[tuple[Item, object]] = []

    def run(self, last: Record | None) -> None:
        self.delivery.probe("begin")
        self._prepare(self.items, last)
        if not self.orders:
            return
        self.delivery.probe("after intent")
        answers = self.delivery.carry_out([order for _, order in self.orders])
        self.delivery.probe("after answer")
        self._conclude(list(zip(self.orders, answers, strict=True)), last)
        self.delivery.probe("after commit")

    def _prepare(self, items: Sequence[Item], last: Record | None) -> None:
        held, orders, lately = len(self.held), len(self.orders), list(self.delivery._lately)  # noqa: SLF001
        try:
            self._prepare_together(items, last)
        except (StoreUnavailableError, TooManyFailuresError):
            raise
        except Exception as error:  # noqa: BLE001 - the outermost loop: one bad event must not stop the rest
            del self.held[held:], self.orders[orders:]
            self.delivery._lately.clear()  # noqa: SLF001
            self.delivery._lately.extend(lately)  # noqa: SLF001
            if len(items) > 1:
                half = len(items) // 2
                self._prepare(items[:half], None)
                self._prepare(items[half:], last)
            else:
                self._give_up(items[0], error, last)

    def _prepare_together(self, items: Sequence[Item], last: Record | None) -> None:
        delivery, consumer = self.delivery, self.delivery.consumer
        group = consumer.group
        with delivery.store.work() as work:
            known = inbox.states(work, group, [item.record.identity for item in items])
            keys = {item.record.key for item in items if item.parked is None}
            waiting = inbox.keys_that_wait(work, group, keys)
            busy = {item.record.key for item, _ in self.orders}
            notes: dict[str, str] = {}
            todo = [item for item in items if known.get(item.record.identity) not in ENDED]
            for item in items:
                if item.parked is not None and known.get(item.record.identity) in ENDED:
                    inbox.unpark(work, group, item)
            events = self._decoded(todo, work, notes)
            consumer.preload([event for _, event in events], work)
            for item, event in events:
                key = item.record.key
                if item.parked is None and key in waiting:
                    inbox.park(work, group, item, due=None, tries=0, why="behind an earlier one")
                elif key in busy:
                    self.held.append(item)
                elif item.record.identity not in notes:
                    ask = getattr(consumer, "if_interrupted", None) is IfInterrupted.ASK
                    again = ask and known.get(item.record.identity) == "begun"
                    answer = consumer.prepare(event, work, again=again)
                    if isinstance(answer, Outcome):
                        delivery.settle(work, item, answer, notes)
                        if isinstance(answer, Retry):
                            waiting.add(key)
                    else:
                        notes[item.record.identity] = "begun"
                        self.orders.append((item, answer))
                        busy.add(key)
            inbox.note(work, group, known, notes)
            if last is not None and not self.orders and not self.held:
                delivery.reader.settle(last, work)

    def _decoded(
        self, items: Sequence[Item], work: Work, notes: dict[str, str]
    ) -> list[tuple[Item, Event]]:
        events = []
        for item in items:
            try:
                events.append((item, decode(item.record.body)))
            except UnreadableEventError as error:
                self.delivery.settle(work, item, Reject(f"not readable: {error}"), notes)
        return events

    def _give_up(self, item: Item, error: Exception, last: Record | None) -> None:
        """
        One event alone fails: let it wait if somebody else was first, else bury it.
        """
        _complain("preparing failed", self.delivery.consumer.group, error)
        outcome: Outcome = Reject(f"{type(error).__name__}: {error}")
        if isinstance(error, ConflictError):
            outcome = Retry(FIRST_WAIT, str(error))
        self._settle_alone(item, outcome, last)

    def _settle_alone(self, item: Item, outcome: Outcome, last: Record | None) -> None:
        delivery, group = self.delivery, self.delivery.consumer.group
        notes: dict[str, str] = {}
        with delivery.store.work() as work:
            known = inbox.states(work, group, [item.record.identity])
            delivery.settle(work, item, outcome, notes)
            inbox.note(work, group, known, notes)
            if last is not None and not self.orders and not self.held:
                delivery.reader.settle(last, work)

    def _conclude(
        self, done: list[tuple[tuple[Item, object], object]], last: Record | None, tries: int = 3
    ) -> None:
        try:
            self._conclude_together(done, last)
        except (StoreUnavailableError, TooManyFailuresError):
            raise
        except Exception as error:  # noqa: BLE001 - the outermost loop: what was done must be put on record
            group = self.delivery.consumer.group
            if len(done) > 1:
                half = len(done) // 2
                self._conclude(done[:half], None)
                self._conclude(done[half:], last)
            elif isinstance(error, ConflictError) and tries:
                self._conclude(done, last, tries - 1)
            else:
                _complain("concluding failed", group, error)
                why = Reject(f"carried out, but: {type(error).__name__}: {error}")
                self._settle_alone(done[0][0][0], why, last)

    def _conclude_together(
        self, done: list[tuple[tuple[Item, object], object]], last: Record | None
    ) -> None:
        delivery = self.delivery
        acting: Any = delivery.consumer
        group = delivery.consumer.group
        with delivery.store.work() as work:
            known = dict.fromkeys((item.record.identity for (item, _), _ in done), "begun")
            notes: dict[str, str] = {}
            if hasattr(acting, "preload_orders"):
                acting.preload_orders([order for (_, order), _ in done], work)
            for (item, order), answer in done:
                outcome = answer
                if not isinstance(answer, Outcome):
                    outcome = acting.conclude(order, answer, work)
                delivery.settle(work, item, outcome, notes)  # type: ignore[arg-type]
            inbox.note(work, group, known, notes)
            if last is not None and not self.held:
                delivery.reader.settle(last, work)


#: States of an event in which a consumer has nothing more to do with it.
ENDED = ("settled", "dead")
