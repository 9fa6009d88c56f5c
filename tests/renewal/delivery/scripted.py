"""Consumers that do as a script says, and what is left behind by them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy as sa

from renewal.delivery import ConsumerRunner
from renewal.eventlog.embedded import EmbeddedLog
from renewal.eventlog.port import Record
from renewal.outcome import Done, IfInterrupted, Outcome, Retry
from schema.codec import encode, kind_of
from schema.events import CertificateChanged, Change, ChangeRequested, Event, Topic
from schema.reasons import StatedReason
from schema.stored_reasons import read_reason
from schema.tables.log import dead_letters, events, inbox, offsets, parked
from schema.tables.renewals import decisions
from templates.codes import text
from tests.scenario.decisions import decide
from tests.scenario.stores import NOON

if TYPE_CHECKING:
    from collections.abc import Callable

    from renewal.db.engine import Store
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.delivery import Consumer
    from renewal.eventlog.port import LogReader

BUSY = Retry(timedelta(seconds=5), StatedReason.NOTE.why(note="busy"))
LATER = timedelta(hours=2)  #: longer than any wait between two tries

#: What each attempt at an event answers or raises; after the last, and without any: done.
Script = Mapping[tuple[int, int], Sequence[object]]


class PowerCut(BaseException):
    pass


def asked(key: int, number: int = 1) -> ChangeRequested:
    """The event of that number of a key."""
    return ChangeRequested(certificate=key, change=Change.SUSPEND, number=number)


def answer(event: ChangeRequested) -> CertificateChanged:
    """What follows from it."""
    return CertificateChanged(
        certificate=event.certificate, change=event.change, number=event.number, changed=NOON
    )


@dataclass(frozen=True)
class Always:
    """A line of a script that is said again however often it is asked for."""

    line: object


@dataclass
class Sql:
    """All its work is SQL."""

    group: ClassVar[str] = "tests"
    topics: ClassVar[tuple[str, ...]] = (Topic.CERTIFICATES.value,)
    kinds: ClassVar[tuple[type[Event], ...]] = (ChangeRequested,)

    script: Script = field(default_factory=dict)
    attempts: Counter[tuple[int, int]] = field(default_factory=Counter)

    def preload(self, events: Sequence[ChangeRequested], work: UnitOfWork) -> None:
        pass

    def prepare(self, event: ChangeRequested, work: UnitOfWork, *, outcome_unknown: bool) -> object:
        assert not outcome_unknown
        return self.say(event, work)

    def say(self, event: ChangeRequested, work: UnitOfWork) -> object:
        scripted = self.next(event)
        if scripted is None:
            decide(work, event.certificate, "test", f"{event.number}")
            return Done((answer(event),))
        return scripted

    def next(self, event: ChangeRequested) -> object:
        name = (event.certificate, event.number)
        lines = self.script.get(name, [])
        line = lines[self.attempts[name]] if self.attempts[name] < len(lines) else None
        if isinstance(line, Always):
            line = line.line
        else:
            self.attempts[name] += 1
        if isinstance(line, BaseException):
            raise line
        return line


@dataclass(frozen=True)
class Order:
    event: ChangeRequested
    again: bool


@dataclass
class Acting(Sql):
    """It also acts upon the world: ``world`` holds what it did there, in order."""

    if_interrupted: ClassVar[IfInterrupted] = IfInterrupted.REPEAT

    world: list[ChangeRequested] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    conclusions: dict[tuple[int, int], list[object]] = field(default_factory=dict)

    def prepare(self, event: ChangeRequested, work: UnitOfWork, *, outcome_unknown: bool) -> object:  # noqa: ARG002 - the port
        return Order(event, outcome_unknown)

    def carry_out(self, order: Order) -> object:
        self.orders.append(order)
        scripted = self.next(order.event)
        if scripted is None:
            self.world.append(order.event)
            return "done"
        return scripted

    def conclude(self, order: Order, answer_: str, work: UnitOfWork) -> Outcome:
        assert answer_ == "done"
        lines = self.conclusions.get((order.event.certificate, order.event.number), [])
        if lines:
            line = lines.pop(0)
            if isinstance(line, BaseException):
                raise line
        decide(work, order.event.certificate, "test", f"{order.event.number}")
        return Done((answer(order.event),))


@dataclass
class Asking(Acting):
    """It finds out first what was done, if it was interrupted."""

    if_interrupted: ClassVar[IfInterrupted] = IfInterrupted.ASK

    def carry_out(self, order: Order) -> object:
        if order.again and order.event in self.world:
            self.orders.append(order)
            return "done"
        return super().carry_out(order)


@dataclass
class Listed:
    """A reader that keeps its offsets for itself, as Kafka's does."""

    records: list[Record]
    position: int = 0
    given: int = 0
    failing: Exception | None = None

    def poll(self, at_most: int, wait: timedelta) -> Sequence[Record]:  # noqa: ARG002 - the port
        found = self.records[self.position : self.position + at_most]
        self.given = len(found)
        return found

    def settle(self, last: Record, work: UnitOfWork) -> None:
        pass

    def commit(self, last: Record) -> None:  # noqa: ARG002 - the port
        if self.failing is not None:
            raise self.failing
        self.position += self.given

    def close(self) -> None:
        pass


def record(event: Event, **other: object) -> Record:
    named = {"topic": event.topic_name, "key": event.key, "kind": kind_of(event), "at": NOON}
    named |= {"identity": event.identity, "body": encode(event), "position": 1}
    return Record(**{**named, **other})  # type: ignore[arg-type]


def delivery(
    consumer: Consumer,
    store: Store,
    reader: LogReader | None = None,
    *,
    at_most: int = 500,
    probe: Callable[[str], None] = lambda _: None,
) -> ConsumerRunner:
    reader = reader or EmbeddedLog(store).reader(consumer.group, consumer.topics)
    return ConsumerRunner(consumer, reader, store, at_most=at_most, probe=probe)


def tell(store: Store, *told: Event) -> None:
    EmbeddedLog(store).append(told)


def pass_time(store: Store, length: timedelta = LATER) -> None:
    clock = store.clock
    clock.advance_to(clock.now() + length)  # type: ignore[attr-defined]


def run(delivery: ConsumerRunner, rounds: int = 1) -> None:
    """Run until all is quiet, so many times, each later than any wait."""
    for number in range(rounds):
        if number:
            pass_time(delivery.store)
        while delivery.run_once() or delivery.run_once():
            pass


def effects(store: Store) -> list[tuple[int, int]]:
    """Key and number of each effect, in order."""
    columns = sa.select(decisions.c.certificate, decisions.c.what).order_by(decisions.c.id)
    return [(key, int(what)) for key, what in rows(store, columns)]


def states(store: Store) -> dict[str, str]:
    found = rows(store, sa.select(inbox.c.identity, inbox.c.state))
    return {identity.split(":", 1)[-1]: state for identity, state in found}


def waiting(store: Store) -> list[str]:
    found = rows(store, sa.select(parked.c.identity).order_by(parked.c.id))
    return [identity.split(":", 1)[1] for (identity,) in found]


def dead(store: Store) -> dict[str, str]:
    found = rows(store, sa.select(dead_letters.c.identity, dead_letters.c.why))
    said = ((identity.split(":", 1)[-1], read_reason(why)) for identity, why in found)
    return {number: text(why, "en") for number, why in said}


def tries_spent(store: Store) -> list[int]:
    return [tries for (tries,) in rows(store, sa.select(dead_letters.c.tries))]


def position(store: Store) -> int:
    return sum(at for (at,) in rows(store, sa.select(offsets.c.position)))


def end(store: Store) -> int:
    """The last position of the log, as a consumer of certificates sees it."""
    own = events.c.topic == Topic.CERTIFICATES.value
    ((last,),) = rows(store, sa.select(sa.func.max(events.c.seq)).where(own))
    return int(last)


def length(store: Store) -> int:
    """How many events a consumer of certificates sees."""
    own = events.c.topic == Topic.CERTIFICATES.value
    ((count,),) = rows(store, sa.select(sa.func.count()).where(own))
    return int(count)


def rows(store: Store, query: sa.Executable) -> list[tuple[Any, ...]]:
    with store.snapshot() as look:
        return [tuple(row) for row in look.connection.execute(query)]
