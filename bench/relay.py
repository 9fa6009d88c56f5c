"""How fast the relay has the outbox confirmed by Kafka."""

from __future__ import annotations

import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from kafka import KafkaProducer

from bench import plumbing, servers
from bench.figures import Figure, at_least, median, ratio, rounded
from producers.relay import OTHERS, PAGE, Relay
from renewal.eventlog.envelope import packed
from renewal.eventlog.kafka import PRODUCER, KafkaLog, Topics
from schema.events import RenewalConfirmed, Topic
from schema.topics import declared

if TYPE_CHECKING:
    from renewal.db.engine import Store
    from renewal.eventlog.kafka import Connection
    from renewal.eventlog.port import LogReader

WAIT, PATIENCE = timedelta(seconds=1), 30.0  #: to read them back; seconds
GOAL = 20_000  #: confirmed events a second
BATCH = 500
METHOD = (
    "Relay: {events:,} events stand in the outbox; from the first look at it until each is "
    "acknowledged by a broker (acks=all, one node, 12 partitions) and the relay's place is on "
    "record. The client alone: the same records, made beforehand and sent by kafka-python with the "
    "relay's settings, {page:,} at a time as the relay does. Each {rounds} times in turn, the "
    "median of the rates and of the rounds' ratios; what lies on the broker is counted in the end."
)


def figures(*, events: int, rounds: int = 3) -> list[Figure]:
    with servers.postgresql() as server, servers.broker() as broker:
        found: dict[str, list[float]] = {"PostgreSQL": [], "SQLite": []}
        alone = []
        for _ in range(rounds):
            alone.append(alone_a_second(servers.connection(broker), events))
            for name, where in (("PostgreSQL", server), ("SQLite", None)):
                with servers.emptied(where) as url:
                    found[name].append(events_a_second(url, servers.connection(broker), events))
    method = METHOD.format(events=events, rounds=rounds, page=PAGE)
    what = "events to Kafka by the client alone"
    return [
        Figure(what=what, value=median(alone), unit="events/s", method=method),
        *(
            at_least(
                f"relay to Kafka, store {name}; of the client's rate",
                median(rates),
                "events/s",
                GOAL,
                shown=f"{rounded(median(rates), 'events/s')}; "
                f"{rounded(100 * ratio(rates, alone), '%')}",
            )
            for name, rates in found.items()
        ),
    ]


def events_a_second(url: str, connection: Connection, events: int) -> float:
    topics = declared(["001"])
    Topics(connection).apply(topics)
    with closing(plumbing.opened(url)) as store, closing(KafkaLog(connection)) as log:
        _fill(store, events)
        with closing(log.outlet()) as outlet, closing(store.advisory_lock(OTHERS)) as claim:
            relay = Relay(store, outlet, claim, [topic.name for topic in topics])
            began = time.perf_counter()
            while relay.run_once():
                pass
            seconds = time.perf_counter() - began
    _all_there(connection, events)
    return events / seconds


def alone_a_second(connection: Connection, events: int) -> float:
    """What the relay does, without outbox, claim and place: as fast as the client goes."""
    Topics(connection).apply(declared(["001"]))
    at, topic = datetime.now(UTC), connection.prefix + Topic.RENEWALS.value
    records = [packed(_event(number), at) for number in range(events)]
    with closing(KafkaProducer(**PRODUCER, **connection.settings)) as producer:
        began = time.perf_counter()
        for start in range(0, events, PAGE):
            sent = [
                producer.send(topic, key=key, value=value, headers=headers)
                for key, value, headers in records[start : start + PAGE]
            ]
            producer.flush()
            for future in sent:
                future.get()
        seconds = time.perf_counter() - began
    _all_there(connection, events)
    return events / seconds


def _all_there(connection: Connection, events: int) -> None:
    with (
        closing(KafkaLog(connection)) as log,
        closing(log.reader("bench", [Topic.RENEWALS.value])) as reader,
    ):
        lying = _lying(reader, events)
    assert lying == events, f"{lying} of {events} events lie on the broker"


def _lying(reader: LogReader, expected: int) -> int:
    """How many different events come from the broker, until there are as many or none comes."""
    found: set[str] = set()
    last = time.monotonic()
    while len(found) < expected and time.monotonic() - last < PATIENCE:
        records = reader.poll(BATCH, WAIT)
        if records:
            found.update(record.identity for record in records)
            reader.commit(records[-1])
            last = time.monotonic()
    return len(found)


def _fill(store: Store, events: int) -> None:
    for start in range(0, events, BATCH):
        with store.transaction() as work:
            for number in range(start, min(start + BATCH, events)):
                work.emit(_event(number))


def _event(number: int) -> RenewalConfirmed:
    return RenewalConfirmed(renewal=f"R{number:08d}-01")
