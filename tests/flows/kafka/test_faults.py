"""The broker is silent, gone, or comes back: nothing is lost, nothing has its effect twice."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from back_office.actions import BackOffice
from producers.relay import LANES
from renewal.errors import NotNowError
from renewal.eventlog.kafka import PRODUCER, Connection, Publisher, Topics
from renewal.eventlog.port import LogUnavailableError
from renewal.invariants import CHECKS, CheckInput, Reads
from renewal.invariants.check import HOURS
from renewal.invariants.log import first_not_read
from renewal.rules.policies import Policies
from schema.codec import kind_name
from schema.topics import declared
from simulation.servers.kafka import cluster, collect
from tests.flows.kafka.rig import (
    IMPATIENT,
    NERVOUS,
    ON_KAFKA,
    SOON,
    Rig,
    drain,
    rigged,
    silent,
    took,
    until,
)
from tests.renewal.delivery.scripted import Sql, asked, dead, effects
from tests.scenario.stores import sqlite_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from producers.relay import Relay
    from renewal.eventlog.port import Record
    from schema.events import ChangeRequested
    from simulation.servers.kafka import Broker

pytestmark = ON_KAFKA


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker that may be killed."""
    nodes = cluster(tmp_path_factory.mktemp("own"))
    try:
        nodes.start()
        yield nodes.brokers[0]
    finally:
        nodes.stop()


@pytest.fixture
def own_rig(own: Broker, tmp_path: Path) -> Iterator[Rig]:
    connection = Connection(servers=(own.server,), prefix=f"{tmp_path.name}.")
    Topics(connection).apply(declared(["001"]))
    with rigged(connection, sqlite_url(tmp_path)) as rig:
        yield rig
    collect()


@contextmanager
def gone(broker: Broker) -> Iterator[None]:
    """Killed, and started again."""
    broker.stop()
    try:
        yield
    finally:
        broker.start()
        broker.wait_until_ready()


def carried(relay: Relay) -> None:
    """Run until the outbox is empty, as the process's loop does."""

    def turn() -> None:
        try:
            empty.append(relay.run_once() == 0)
        except LogUnavailableError:
            time.sleep(0.1)  # the loop's pause

    empty: list[bool] = []
    until(lambda: any(empty), turn)


def acknowledged(publisher: Publisher, body: bytes) -> None:
    """Sent, if need be again: a broker that was silent has left its own cluster for a while."""

    def send() -> None:
        with suppress(LogUnavailableError):
            publisher.send([("certificates", b"1", body, [])])
            there.append(True)

    there: list[bool] = []
    until(lambda: bool(there), send)


def once_each(rig: Rig, events: Sequence[ChangeRequested]) -> None:
    assert Counter(effects(rig.store)) == Counter((e.certificate, e.number) for e in events)
    assert dead(rig.store) == {}


def test_a_silent_broker_is_noticed_and_nothing_is_lost_or_has_its_effect_twice(
    rig: Rig, broker: Broker
) -> None:
    events = [asked(key) for key in range(500)]
    relay = rig.relay(page=100)
    rig.tell(*events)
    relay.run_once()

    with silent(broker):
        for _ in range(2):
            with pytest.raises(LogUnavailableError, match="Kafka: "):
                relay.run_once()
    carried(relay)
    drain(rig.delivery(Sql()))

    once_each(rig, events)


def test_each_failed_future_is_told_and_another_producer_is_made(rig: Rig, broker: Broker) -> None:
    publisher = Publisher(rig.connection, **IMPATIENT)
    acknowledged(publisher, b"before")
    before = publisher._client

    with silent(broker), pytest.raises(LogUnavailableError):
        publisher.send([("certificates", b"1", b"unsure", [])])
    acknowledged(publisher, b"after")

    assert publisher._client is not before
    # A send that failed is unsure, not undone: it may lie there or not.
    bodies = dict.fromkeys(record.body for record in rig.lying("certificates", 2))
    assert b"".join(bodies) in (b"beforeafter", b"beforeunsureafter", b"beforeunsure")
    publisher.close()


def test_one_record_that_cannot_be_sent_makes_the_whole_page_unsure(rig: Rig) -> None:
    publisher = Publisher(rig.connection, **IMPATIENT)

    with pytest.raises(LogUnavailableError):
        publisher.send(
            [("certificates", b"1", b"sound", []), ("certificates", b"1", b"x" * 2_000_000, [])]
        )
    publisher.close()


def test_a_consumer_of_a_silent_broker_goes_on_afterwards(rig: Rig, broker: Broker) -> None:
    events = [asked(key) for key in range(100)]
    delivery = rig.delivery(Sql(), at_most=10, **NERVOUS)
    rig.tell(*events)
    rig.relayed()
    until(lambda: bool(effects(rig.store)), lambda: delivery.run_once(SOON))

    with silent(broker):
        end = time.monotonic() + 3
        while time.monotonic() < end:
            delivery.run_once(SOON)
    drain(delivery)

    once_each(rig, events)


def test_a_broker_that_was_killed_and_started_again_has_lost_nothing(
    own: Broker, own_rig: Rig
) -> None:
    events = [asked(key, number) for number in (1, 2, 3) for key in range(100)]
    relay, delivery = own_rig.relay(page=50), own_rig.delivery(Sql(), at_most=20)
    own_rig.tell(*events[:200])
    relay.run_once()
    relay.run_once()
    until(lambda: bool(effects(own_rig.store)), lambda: delivery.run_once(SOON))

    with gone(own):
        own_rig.tell(*events[200:])
        with pytest.raises(LogUnavailableError):
            relay.run_once()
        delivery.run_once(SOON)
    carried(relay)
    drain(delivery)

    once_each(own_rig, events)
    for key in range(100):
        assert [number for k, number in effects(own_rig.store) if k == key] == [1, 2, 3]


def test_an_outage_leaves_no_thread_behind_for_each_attempt(own: Broker, own_rig: Rig) -> None:
    reader = own_rig.reader("tests", ["certificates"], bootstrap_timeout_ms=300)
    publisher = Publisher(own_rig.connection, bootstrap_timeout_ms=300)
    before = threading.active_count()

    with gone(own):
        for _ in range(3):
            with pytest.raises(LogUnavailableError):
                reader.poll(1, SOON)
            with pytest.raises(LogUnavailableError):
                publisher.send([("certificates", b"1", b"", [])])

    assert threading.active_count() == before


def test_a_broker_that_refuses_is_told_to_whoever_reads(own: Broker, own_rig: Rig) -> None:
    reader = own_rig.reader("tests", ["certificates"], bootstrap_timeout_ms=500)

    with gone(own), pytest.raises(LogUnavailableError, match="Kafka: "):
        reader.poll(1, SOON)
    until(lambda: reader.poll(1, SOON) == [] and reader._client is not None)


def test_a_consumer_knocks_at_least_every_second_at_a_broker_that_stays_away(
    own: Broker, own_rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "kafka")  # what is kept of its errors would hold its sockets
    reader = own_rig.reader("tests", ["certificates"])
    publisher = Publisher(own_rig.connection)
    publisher.send([("certificates", b"1", b"", [])])
    publisher.close()
    read: list[Record] = []
    until(lambda: bool(read), lambda: read.extend(reader.poll(1, SOON)))
    client = reader._client
    assert client is not None
    lines = client._network[0]._manager

    def failures() -> int:
        return max((failed for failed, _, _ in lines._backoff.values()), default=0)

    with gone(own):
        until(lambda: failures() >= 8, lambda: reader.poll(1, SOON))
        waits = [lines.connection_delay(node) for node in lines._backoff]

    assert max(waits) <= 1.2  # with the client's own jitter; doubled each time, it would be 6


def test_of_a_topic_that_was_deleted_and_made_again_nothing_is_passed_over(rig: Rig) -> None:
    from kafka import KafkaAdminClient  # noqa: PLC0415 - slow to import

    rig.tell(*(asked(key) for key in range(50)))
    rig.relayed()
    reader = rig.reader("tests", ["certificates"], metadata_max_age_ms=1_000)
    read: list[str] = []
    until(lambda: len(read) == 50, lambda: read.extend(one.identity for one in took(reader)))
    later = [asked(key, number) for key in range(50) for number in (2, 3, 4)]

    admin = KafkaAdminClient(**rig.connection.settings)
    topic = f"{rig.connection.prefix}certificates"
    admin.delete_topics([topic])
    until(lambda: topic not in admin.list_topics())
    admin.close()
    Topics(rig.connection).apply(declared(["001"]))
    rig.tell(*later)
    carried(rig.relay())
    until(
        lambda: {event.identity for event in later} <= {*read},
        lambda: read.extend(one.identity for one in took(reader)),
    )


@pytest.mark.parametrize("days", [-40, 1])
def test_what_a_senders_clock_says_decides_nothing_about_what_is_kept(
    kafka: Connection, days: int
) -> None:
    from kafka import KafkaProducer  # noqa: PLC0415 - slow to import

    now = time.time()
    with closing(KafkaProducer(**PRODUCER, **kafka.settings)) as producer:
        says = int((now + timedelta(days=days).total_seconds()) * 1000)
        sent = producer.send(f"{kafka.prefix}codes", key=b"1", value=b"", timestamp_ms=says)
        kept = sent.get(timeout=30)

    assert abs(kept.timestamp / 1000 - now) < timedelta(hours=1).total_seconds()


def test_what_the_broker_lost_before_it_was_read_is_found_and_can_be_told_again(rig: Rig) -> None:
    from kafka import KafkaAdminClient, TopicPartition  # noqa: PLC0415 - slow to import

    events = [asked(key) for key in range(50)]
    delivery = rig.delivery(Sql())
    rig.tell(*events[:20])
    rig.relayed()
    drain(delivery)
    rig.tell(*events[20:])
    rig.relayed()

    admin = KafkaAdminClient(**rig.connection.settings)
    topic = f"{rig.connection.prefix}certificates"
    admin.delete_records({TopicPartition(topic, number): -1 for number in range(12)})
    admin.close()
    drain(delivery)
    found = unread(rig)
    reads = Reads(topics=Sql.topics, kinds=tuple(map(kind_name, Sql.kinds)))
    with rig.store.snapshot() as look:
        first = first_not_read(look, {Sql.group: reads}, LANES)
    assert first is not None
    office, who = BackOffice(rig.store, Policies({})), {"who": "T01", "why": "the broker's disk"}
    at_work = rig.relay()
    assert at_work.run_once() == 0
    with pytest.raises(NotNowError, match="relay_at_work"):
        office.relay_again(first[0], **who)
    at_work.claim.close()
    office.relay_again(first[0], **who)
    rig.relayed()
    drain(delivery)

    assert first[1] == events[20].identity
    assert found == {f"tests {event.identity}" for event in events[20:]}
    assert unread(rig) == set()
    once_each(rig, events)


def unread(rig: Rig) -> set[str]:
    """What `xuqi check` finds when more than six hours have passed."""
    reads = Reads(topics=Sql.topics, kinds=tuple(map(kind_name, Sql.kinds)))
    with rig.store.snapshot() as look:
        later = look.at + HOURS + timedelta(seconds=1)
        given = CheckInput(now=later, policies={}, groups={Sql.group: reads}, log_is_here=False)
        return {
            key
            for check in CHECKS
            if check.what == "an event that nobody has read for hours"
            for key in check.find(look, given)
        }
