"""What every event log keeps to, so that consumers need not know which one it is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import pytest
import sqlalchemy as sa

from renewal.eventlog.embedded import EmbeddedLog
from renewal.eventlog.kafka import KafkaLog, Publisher
from schema.codec import KIND_NAMES, decode, encode, kind_of
from schema.events import (
    CodeRequested,
    Event,
    FeeSecured,
    PaymentRequested,
    RenewalConfirmed,
    RenewalDone,
    RenewalRefused,
)
from schema.tables.log import events
from tests.scenario.stores import NOON, opened

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from renewal.db.engine import Store
    from renewal.eventlog.kafka import Connection
    from renewal.eventlog.port import EventLog, LogReader, Record

SOON = timedelta(seconds=10)
#: Of one key, so that they are in order on every log.
FIRST, SECOND, THIRD = (
    RenewalConfirmed(renewal="R1-1"),
    FeeSecured(renewal="R1-1", how="none"),
    RenewalDone(renewal="R1-1"),
)


class Engine(Protocol):
    """A log, and what the tests do to it besides."""

    stack: ExitStack
    log: EventLog

    def reader(
        self,
        group: str = "tests",
        topics: Sequence[str] = ("renewals",),
        exclude: Collection[str] = (),
    ) -> LogReader:
        """A reader that is closed at the end, if not before."""
        reader = self.log.reader(group, topics, exclude=exclude)
        self.stack.callback(reader.close)
        return reader

    def restarted(self) -> Engine:
        """The same log as another process has it."""
        ...

    def put(self, body: bytes, *, key: str) -> None:
        """Lay bytes on the log of renewals that are no event."""
        ...

    def settle(self, reader: LogReader, last: Record) -> None:
        """Do what delivery does once everything up to there is dealt with."""
        ...


@dataclass
class Embedded(Engine):
    url: str
    stack: ExitStack
    store: Store = field(init=False)
    log: EventLog = field(init=False)

    def __post_init__(self) -> None:
        self.store = self.stack.enter_context(opened(self.url))
        self.log = EmbeddedLog(self.store)

    def restarted(self) -> Embedded:
        return Embedded(self.url, self.stack)

    def put(self, body: bytes, *, key: str) -> None:
        row = {"topic": "renewals", "key": key, "kind": "?", "identity": key, "at": NOON}
        with self.store.transaction() as work:
            work.connection.execute(sa.insert(events), {**row, "body": body})

    def settle(self, reader: LogReader, last: Record) -> None:
        with self.store.transaction() as work:
            reader.settle(last, work)
        reader.commit(last)


@dataclass
class OnKafka(Engine):
    connection: Connection
    stack: ExitStack
    log: EventLog = field(init=False)

    def __post_init__(self) -> None:
        self.log = log = KafkaLog(self.connection)
        self.stack.callback(log.close)

    def restarted(self) -> OnKafka:
        return OnKafka(self.connection, self.stack)

    def put(self, body: bytes, *, key: str) -> None:
        lies = Publisher(self.connection)
        self.stack.callback(lies.close)
        lies.send([("renewals", key.encode(), body, [])])

    def settle(self, reader: LogReader, last: Record) -> None:
        reader.commit(last)


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("copy", marks=pytest.mark.postgresql),
        pytest.param("kafka", marks=pytest.mark.kafka),
    ]
)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    place = request.getfixturevalue(request.param)
    with ExitStack() as stack:
        yield OnKafka(place, stack) if request.param == "kafka" else Embedded(place, stack)


@pytest.fixture
def not_on_kafka(request: pytest.FixtureRequest, engine: Engine) -> None:
    """What the port does not promise, and Kafka does not do."""
    if isinstance(engine, OnKafka):
        request.applymarker(pytest.mark.xfail(strict=True, reason="Kafka cannot"))


def read(reader: LogReader, count: int) -> Sequence[Event]:
    """As many events as that, one poll after another; it waits for them as long as a test may."""
    found: list[Event] = []
    while len(found) < count:
        records = reader.poll(count - len(found), SOON)
        found += [decode(record.body) for record in records]
        if records:
            reader.commit(records[-1])
    return found


def test_what_is_appended_is_read(engine: Engine) -> None:
    engine.log.append([FIRST])

    (record,) = engine.reader().poll(9, SOON)

    assert decode(record.body) == FIRST
    assert record.topic == FIRST.topic_name
    assert record.key == FIRST.key
    assert record.kind == kind_of(FIRST)
    assert record.identity == FIRST.identity
    assert record.at.tzinfo is not None


def test_events_of_one_key_stay_in_order(engine: Engine) -> None:
    told: list[Event] = [RenewalRefused(renewal=f"R{n % 3}", why=f"{n}") for n in range(3)]
    told += [RenewalDone(renewal=f"R{n % 3}") for n in range(3)]
    engine.log.append(told[:2])
    engine.log.append(told[2:])

    found = read(engine.reader(), len(told))

    for key in ("R0", "R1", "R2"):
        assert [e for e in found if e.key == key] == [e for e in told if e.key == key]


def test_no_more_is_given_than_was_asked_for(engine: Engine) -> None:
    engine.log.append([FIRST, SECOND, THIRD])

    found = engine.reader().poll(2, SOON)

    assert len(found) == 2


def test_what_was_not_committed_is_given_again(engine: Engine) -> None:
    engine.log.append([FIRST, SECOND])
    reader = engine.reader()

    once = reader.poll(1, SOON)
    again = reader.poll(1, SOON)

    assert [record.identity for record in once] == [FIRST.identity]
    assert again == once


def test_what_was_not_settled_is_given_again_after_a_restart(engine: Engine) -> None:
    engine.log.append([FIRST])
    reader = engine.reader()
    reader.poll(1, SOON)
    reader.close()

    found = read(engine.restarted().reader(), 1)

    assert found == [FIRST]


def test_what_was_committed_stays_away_after_a_restart(engine: Engine) -> None:
    engine.log.append([FIRST, SECOND])
    reader = engine.reader()
    engine.settle(reader, reader.poll(1, SOON)[-1])
    reader.close()

    found = read(engine.restarted().reader(), 1)

    assert found == [SECOND]


def test_an_offset_never_moves_back(engine: Engine) -> None:
    engine.log.append([FIRST, SECOND, THIRD])
    reader = engine.reader()
    first, second = reader.poll(2, SOON)
    engine.settle(reader, second)
    engine.settle(reader, first)
    reader.close()

    found = read(engine.restarted().reader(), 1)

    assert found == [THIRD]


def test_each_group_reads_everything(engine: Engine) -> None:
    engine.log.append([FIRST])

    here = read(engine.reader("here"), 1)
    there = read(engine.reader("there"), 1)

    assert here == there == [FIRST]


def test_a_second_reader_of_a_group_gets_nothing_until_the_first_is_gone(url: str) -> None:
    """On the embedded log; on Kafka they share the partitions."""
    with ExitStack() as stack:
        _second_reader(Embedded(url, stack))


def _second_reader(engine: Engine) -> None:
    engine.log.append([FIRST, SECOND])
    first = engine.reader()
    engine.settle(first, first.poll(1, SOON)[-1])
    second = engine.restarted().reader()

    while_first = second.poll(9, timedelta(0))
    engine.settle(first, first.poll(1, SOON)[-1])
    first.close()
    engine.log.append([THIRD])

    assert not while_first
    assert read(second, 1) == [THIRD]


def test_only_the_topics_asked_for_are_read(engine: Engine) -> None:
    engine.log.append([PaymentRequested(payment="P1"), FIRST])

    assert read(engine.reader(), 1) == [FIRST]


def test_several_topics_are_read_page_by_page_until_their_end(engine: Engine) -> None:
    told: list[Event] = [RenewalDone(renewal=f"R{n}") for n in range(5)]
    told += [PaymentRequested(payment=f"P{n}") for n in range(5)]
    engine.log.append(told)
    reader = engine.reader(topics=("renewals", "payments"))

    found = [event for _ in range(5) for event in read(reader, 2)]

    assert {event.identity for event in found} == {event.identity for event in told}


def test_what_is_left_out_is_gone_by(engine: Engine) -> None:
    """The last of a poll is given whatever it is, so that it can be committed."""
    told: list[Event] = [RenewalConfirmed(renewal=f"R{n}") for n in range(30)]
    told[25:25] = [THIRD]
    engine.log.append(told)
    reader = engine.reader(exclude={kind_of(FIRST)})
    found: list[list[str]] = []

    while not found or found[-1]:
        records = reader.poll(2, SOON if not found else timedelta(0))
        found.append([record.kind for record in records])
        if records:
            engine.settle(reader, records[-1])
    reader.close()
    left = engine.restarted().reader().poll(9, timedelta(0))

    assert [kind for kinds in found for kind in kinds].count(kind_of(THIRD)) == 1
    assert [kinds for kinds in found if kind_of(FIRST) in kinds[:-1]] == []
    assert not left


def test_nobody_leaves_out_what_is_no_event(engine: Engine) -> None:
    engine.put(b"{", key=FIRST.key)
    engine.log.append([FIRST, SECOND])

    found = engine.reader(exclude=KIND_NAMES).poll(3, SOON)

    assert [record.body for record in found] == [b"{", encode(SECOND)]


@pytest.mark.usefixtures("not_on_kafka")
def test_a_fact_told_twice_is_one_event_on_the_embedded_log(engine: Engine) -> None:
    engine.log.append([FIRST, FIRST])
    engine.log.append([FIRST, SECOND])

    assert read(engine.reader(), 2) == [FIRST, SECOND]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\x00"], ids=len)
def test_bytes_that_are_no_event_reach_the_handler(engine: Engine, body: bytes) -> None:
    engine.put(body, key=FIRST.key)
    engine.log.append([FIRST])

    poison, sound = engine.reader().poll(2, SOON)

    assert poison.body == body
    assert sound.body == encode(FIRST)


@pytest.mark.usefixtures("not_on_kafka")
def test_ten_megabytes_that_are_no_event_reach_the_handler(engine: Engine) -> None:
    test_bytes_that_are_no_event_reach_the_handler(engine, b"x" * 10_000_000)


def test_a_reader_wakes_when_something_is_appended(engine: Engine) -> None:
    reader = engine.reader()
    assert not reader.poll(1, timedelta(0))

    engine.log.append([FIRST])

    assert read(reader, 1) == [FIRST]


CODES = [CodeRequested(challenge="K1-1", send_number=number) for number in (1, 2)]


@pytest.mark.parametrize("told", [[FIRST, SECOND], CODES], ids=["renewals", "codes"])
def test_an_event_that_commits_late_is_not_skipped(url: str, told: list[Event]) -> None:
    """Sequence numbers are given before the commit: the classic trap of "seq > last"."""
    first, second = told
    with opened(url) as store, ThreadPoolExecutor() as pool:
        log = EmbeddedLog(store)
        with closing(log.reader("tests", [first.topic_name])) as reader:
            with store.transaction() as late:
                late.emit(first)
                late.flush()
                following = pool.submit(log.append, [second])
                seen = reader.poll(9, SOON)
                if seen:
                    reader.commit(seen[-1])
            following.result()

            assert read(reader, 2) == [first, second]


def test_nobody_reads_codes_and_others_by_one_position(url: str) -> None:
    with opened(url) as store, pytest.raises(ValueError, match=r"codes cannot be read together"):
        EmbeddedLog(store).reader("tests", ("codes", "renewals"))


def test_events_told_by_many_at_once_all_come(engine: Engine) -> None:
    reader = engine.reader()
    told = [RenewalDone(renewal=f"M{n}") for n in range(100)]

    with ThreadPoolExecutor(4) as pool:
        appended = pool.map(engine.log.append, ([event] for event in told))
        found = read(reader, len(told))
        list(appended)

    assert {event.key for event in found} == {event.key for event in told}
