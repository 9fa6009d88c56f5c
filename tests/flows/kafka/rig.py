"""A store, a part of the broker, and what runs between them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from producers.relay import CODES, OTHERS, Relay
from renewal.delivery import ConsumerRunner, ignored_kinds
from renewal.eventlog.embedded import EmbeddedLog
from renewal.eventlog.kafka import KafkaLog, KafkaReader, Publisher
from schema.tables import metadata
from schema.topics import declared
from tests.scenario.stores import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from renewal.db.engine import Store
    from renewal.delivery import Consumer
    from renewal.eventlog.kafka import Connection
    from renewal.eventlog.port import Record
    from schema.events import Event
    from simulation.servers.kafka import Broker

#: For every module here. A client that never reached its broker leaves its sockets to be collected.
ON_KAFKA = [
    pytest.mark.kafka,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
#: Where it matters what the database does when several write to it at once.
ON_EACH_DATABASE = pytest.mark.parametrize(
    "rig",
    ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)],
    indirect=True,
)
SOON = timedelta(milliseconds=500)
TOPICS = [one.name for one in declared(["001"])]
#: A silent broker is noticed in seconds, as it is in half a minute outside of tests.
IMPATIENT: dict[str, Any] = {
    "request_timeout_ms": 1_000,
    "delivery_timeout_ms": 2_000,
    "max_block_ms": 1_000,
    "bootstrap_timeout_ms": 2_000,
}
#: A dead member is missed after a second.
NERVOUS: dict[str, Any] = {"session_timeout_ms": 1_500, "heartbeat_interval_ms": 300}


@dataclass
class Rig:
    """Kafka's log over a store, and consumers in other processes: there is no bank behind it."""

    connection: Connection
    store: Store
    stack: ExitStack
    log: KafkaLog = field(init=False)

    def __post_init__(self) -> None:
        self.log = KafkaLog(self.connection)
        self.stack.callback(self.log.close)

    def tell(self, *events: Event) -> None:
        """Put events into the outbox."""
        EmbeddedLog(self.store).append(events)

    def relay(self, *, lane: str = OTHERS, **settings: Any) -> Relay:  # noqa: ANN401 - a relay's own
        outlet = self.log.outlet(**IMPATIENT)
        claim = self.store.advisory_lock(lane)
        self.stack.callback(outlet.close)
        self.stack.callback(claim.close)
        return Relay(self.store, outlet, claim, TOPICS, lane=lane, **settings)

    def relayed(self) -> None:
        """Carry all that is in the outbox to the broker."""
        for lane in (CODES, OTHERS):
            relay = self.relay(lane=lane)
            while relay.run_once():
                pass
            relay.claim.close()

    def reader(
        self,
        group: str,
        topics: Sequence[str],
        *,
        exclude: Collection[str] = (),
        **settings: object,
    ) -> KafkaReader:
        reader = self.log.reader(group, topics, exclude=exclude, **settings)
        self.stack.callback(reader.close)
        return reader

    def delivery(
        self, consumer: Consumer, *, group: str = "", at_most: int = 500, **settings: int
    ) -> ConsumerRunner:
        without = ignored_kinds(consumer)
        reader = self.reader(group or consumer.group, consumer.topics, exclude=without, **settings)
        return ConsumerRunner(consumer, reader, self.store, at_most=at_most)

    def put(self, *records: tuple[str, Any, Any, Any]) -> None:
        """Lay topic, key, value and headers on the broker as they are."""
        strange = Publisher(self.connection, **IMPATIENT)
        try:
            strange.send(records)
        finally:
            strange.close()

    def lying(self, topic: str, count: int, group: str = "onlooker") -> Sequence[Record]:
        """The first records on a topic, as many as that."""
        reader = self.log.reader(group, [topic])
        found: list[Record] = []
        try:
            until(lambda: len(found) >= count, lambda: found.extend(took(reader)))
        finally:
            reader.close()
        return found

    @contextmanager
    def process(self, module: str, **told: str) -> Iterator[subprocess.Popen[bytes]]:
        """A module that lives on this broker and store, until it is killed."""
        here = {
            "server": self.connection.servers[0],
            "prefix": self.connection.prefix,
            "store": str(self.store.engine.url),
        }
        process = subprocess.Popen([sys.executable, "-m", module, json.dumps(here | told)])
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table."""
        with self.store.snapshot() as look:
            return {
                table.name: sorted(map(tuple, look.connection.execute(sa.select(table))), key=repr)
                for table in metadata.sorted_tables
            }


def took(reader: KafkaReader) -> Sequence[Record]:
    records = reader.poll(500, SOON)
    if records:
        reader.commit(records[-1])
    return records


def lag(reader: KafkaReader) -> int | None:
    """How many records of its partitions lie before it; none as long as it has no partitions."""
    if reader._client is None or not reader._client.does.assignment():
        return None
    consumer = reader._client.does
    ends = consumer.end_offsets(list(consumer.assignment()))
    return int(sum(end - consumer.position(place) for place, end in ends.items()))


def drain(*deliveries: ConsumerRunner) -> None:
    """Deliver all that is on the broker."""

    def turn() -> None:
        for delivery in deliveries:
            delivery.run_once(SOON)

    until(lambda: all(_reader(one) == 0 for one in deliveries), turn)


def _reader(delivery: ConsumerRunner) -> int | None:
    reader = delivery.reader
    assert isinstance(reader, KafkaReader)
    return lag(reader)


def until(
    done: Callable[[], bool],
    turn: Callable[[], object] = lambda: time.sleep(0.05),
    *,
    seconds: float = 60,
) -> None:
    """Turn until it is done, as long as a test may."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it takes too long"
        turn()


@contextmanager
def silent(broker: Broker) -> Iterator[None]:
    """The broker holds its connections, and says nothing."""
    broker.kill(signal.SIGSTOP)
    try:
        yield
    finally:
        broker.kill(signal.SIGCONT)


@contextmanager
def rigged(connection: Connection, url: str) -> Iterator[Rig]:
    with opened(url, make=True) as store, ExitStack() as stack:
        yield Rig(connection, store, stack)
