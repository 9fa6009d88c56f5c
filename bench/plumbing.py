"""Delivery beside the bare pipeline: four steps that only do the durable work."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy as sa

from bench import bank
from bench.pipeline import BATCH, STEPS
from renewal.clock import SystemClock
from renewal.db.encryption import FieldCipher
from renewal.db.engine import Store
from renewal.db.rows import Certificate, Payment
from renewal.delivery import ConsumerRunner
from renewal.delivery.runner import IDLE_POLLS
from renewal.eventlog.embedded import EmbeddedLog
from renewal.outcome import Done
from renewal.secret import Secret
from schema.events import (
    Event,
    MessageFailed,
    PaymentRefused,
    RenewalDue,
    RenewalRefused,
    TokenDeclined,
)
from schema.migrate import upgrade
from schema.tables.books import payments
from schema.tables.log import dead_letters, events, inbox, offsets, parked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from renewal.db.unit_of_work import UnitOfWork

WAIT, NOT_AT_ALL = timedelta(seconds=1), timedelta(0)  #: for what the step before tells
PATIENCE = 30.0  #: seconds without any of it
SOON = datetime(2030, 1, 1, tzinfo=UTC)


def _words(body: int) -> str:
    return "x" * body


def _due(item: int) -> Event:
    return RenewalDue(certificate=item, customer=1, product=_words(84), not_after=SOON)


def _refused(item: int) -> Event:
    return RenewalRefused(renewal=str(item), why=_words(131))


def _unpaid(item: int) -> Event:
    return PaymentRefused(payment=str(item), why=_words(131))


def _declined(item: int) -> Event:
    return TokenDeclined(renewal=str(item), why=_words(132))


def _failed(item: int) -> Event:
    return MessageFailed(message=str(item), customer=item, code=_words(116))


#: What a step reads, and the last one tells: events that there are, each on a topic of its own.
_TOLD = (_due, _refused, _unpaid, _declined, _failed)
KINDS = (RenewalDue, RenewalRefused, PaymentRefused, TokenDeclined)


@dataclass(frozen=True)
class Step:
    """A consumer that changes one row and tells the next event, and decides nothing."""

    number: ClassVar[int]
    group: ClassVar[str]
    topics: ClassVar[tuple[str, ...]]
    kinds: ClassVar[tuple[type[Event], ...]]

    def preload(self, events: Sequence[Any], work: UnitOfWork) -> None:
        work.payments.load(event.key for event in events)

    def prepare(self, event: Any, work: UnitOfWork, *, outcome_unknown: bool) -> Done:  # noqa: ANN401 - its kind
        assert not outcome_unknown
        row = work.payments.get(event.key)
        work.payments.change(row, state=self.group)
        return Done(emit=(_TOLD[self.number + 1](int(event.key)),))


def _step(number: int, name: str) -> Step:
    kind = KINDS[number]
    about = {"number": number, "group": name, "topics": (kind.topic.value,), "kinds": (kind,)}
    step: Step = type(name, (Step,), about)()
    return step


def opened(url: str) -> Store:
    """A store with its tables."""
    upgrade(url)
    return Store(
        url, clock=SystemClock(), cipher=FieldCipher({1: Secret(b"opens nothing here" * 2)})
    )


def items_a_second(url: str, items: int, *, at_once: bool = False) -> float:
    """Take so many items through four consumers by delivery, inbox and embedded log, whole."""
    with closing(opened(url)) as store:
        lay(store, range(items))
        seconds = run(store, items, at_once=at_once)
        all_went_through(store, items)
    return items / seconds


def lay(store: Store, numbers: range) -> None:
    """So many rows, and the first event of each on the log."""
    if numbers.start == 0:
        _people(store)
    for start in range(numbers.start, numbers.stop, BATCH):
        with store.transaction() as work:
            for item in range(start, min(start + BATCH, numbers.stop)):
                work.payments.put(_row(item))
                work.emit(_TOLD[0](item))


def run(store: Store, items: int, *, at_once: bool = False) -> float:
    """
    Deliver so many items, one step after another, or ``at_once``: each consumer in a thread of
    its own, as they are served; return the seconds.
    """
    log = EmbeddedLog(store)
    steps = [_step(number, name) for number, name in enumerate(STEPS)]
    deliveries = [
        ConsumerRunner(step, log.reader(step.group, step.topics), store) for step in steps
    ]
    began = time.perf_counter()
    with ThreadPoolExecutor(len(steps) if at_once else 1) as pool:
        list(pool.map(partial(_deliver, items, PATIENCE if at_once else 0.0), deliveries))
    seconds = time.perf_counter() - began
    for delivery in deliveries:
        delivery.reader.close()
    return seconds


def _deliver(items: int, patience: float, delivery: ConsumerRunner) -> None:
    last = time.monotonic()
    while items > 0:
        found = delivery.run_once(WAIT if patience else NOT_AT_ALL)
        now = time.monotonic()
        if not found and now - last > patience:
            return  # it is counted what is missing
        items, last = items - found, now if found else last
    for _ in range(IDLE_POLLS):
        delivery.run_once()  # so that the offset is on record, too


def all_went_through(store: Store, items: int, *, before: int = 0) -> None:
    """Each item was changed by each step, once, each event is noted once, and nothing waits."""
    steps = len(STEPS)
    with store.snapshot() as look:
        scalar = look.connection.scalar
        count = sa.select(sa.func.count())
        found = [
            scalar(count.where(payments.c.version == steps + 1, payments.c.state == STEPS[-1])),
            scalar(count.select_from(inbox).where(inbox.c.state == "settled")),
            scalar(count.select_from(events)),
            scalar(count.select_from(offsets)),
            *(scalar(count.select_from(table)) for table in (parked, dead_letters)),
        ]
    expected = [items, before + items * steps, before + items * (steps + 1), steps, 0, 0]
    assert found == expected, f"changed, noted, told, offsets, waiting, dead: {found}"


def _people(store: Store) -> None:
    """One customer and their certificate, to whom all rows belong."""
    with store.transaction() as work:
        bank.customer(work, 1)
        work.certificates.put(
            Certificate(
                id=1,
                customer=1,
                product=bank.PRODUCTS[0],
                slot="1",
                token_serial=None,
                issuer_hash=b"",
                serial="1",
                spki_sha256=b"",
                certificate_sha256=b"",
                not_before=work.at,
                not_after=SOON,
                state="active",
                renewal=None,
                der_sealed=b"",
                announced_at=None,
                left_at=None,
                told=None,
                remind_at=None,
                changes=0,
                version=1,
            )
        )


def _row(item: int) -> Payment:
    return Payment(
        id=str(item),
        customer=1,
        certificate=1,
        amount=1,
        pays_for="",
        state="new",
        renewal=None,
        asked_at=SOON,
        version=1,
    )
