"""The outbox reaches the broker whole and in order, whenever the relay is killed."""

from __future__ import annotations

import random
import time
from collections import Counter
from itertools import count
from typing import TYPE_CHECKING

import pytest
from kafka.partitioner import DefaultPartitioner

from producers.relay import CODES, OTHERS
from renewal.delivery import dead_letters
from renewal.eventlog import queries
from renewal.eventlog.kafka import PRODUCER, Connection, Topics, TopicsError
from schema.codec import decode
from schema.events import ChangeRequested, CodeRequested, RenewalDone, TokenJobEnded
from schema.topics import declared
from tests.flows.kafka.relaying import relay
from tests.flows.kafka.rig import ON_EACH_DATABASE, ON_KAFKA, Rig, drain, until
from tests.renewal.delivery.scripted import PowerCut, Sql, asked, dead, effects

if TYPE_CHECKING:
    from schema.events import Event

pytestmark = ON_KAFKA

POINTS = ["before the call", "after the call", "after commit"]


class Cut:
    """Ends the relay at a point, at its first pass."""

    def __init__(self, point: str) -> None:
        self.point = point

    def __call__(self, point: str) -> None:
        if point == self.point:
            self.point = ""
            raise PowerCut


@pytest.mark.parametrize("point", POINTS)
def test_a_relay_killed_anywhere_loses_nothing(rig: Rig, point: str) -> None:
    events = [asked(key, number) for number in (1, 2) for key in range(50)]
    rig.tell(*events)
    killed = rig.relay(page=30, probe=Cut(point))
    with pytest.raises(PowerCut):
        killed.run_once()
    killed.claim.close()  # the system takes it back

    rig.relayed()
    drain(rig.delivery(Sql()))

    assert Counter(effects(rig.store)) == Counter((e.certificate, e.number) for e in events)
    assert dead(rig.store) == {}


@ON_EACH_DATABASE
def test_a_relay_that_is_killed_at_its_points_and_at_random_loses_nothing_and_keeps_the_order(
    rig: Rig,
) -> None:
    chance, numbers = random.Random(7), count(1)
    told: list[ChangeRequested] = []

    def tell() -> None:
        number = next(numbers)
        events = [asked(key, number) for key in range(10)]
        rig.tell(*events)
        told.extend(events)
        time.sleep(0.01)

    for point in POINTS:
        with relay(rig, die_at=point) as process:
            until(lambda: process.poll() == -9, tell)
    for _ in range(4):
        carried = position(rig)
        with relay(rig):
            until(lambda: position(rig) > carried, tell)  # noqa: B023 - as above
            end = time.monotonic() + chance.uniform(0, 0.3)
            until(lambda: time.monotonic() > end, tell)  # noqa: B023 - as above
    with relay(rig):
        until(lambda: position(rig) >= len(told))
    drain(rig.delivery(Sql()))

    found = effects(rig.store)
    assert Counter(found) == Counter((event.certificate, event.number) for event in told)
    for key in range(10):
        assert [number for k, number in found if k == key] == list(range(1, len(told) // 10 + 1))
    assert dead(rig.store) == {}


def position(rig: Rig) -> int:
    with rig.store.snapshot() as look:
        return queries.position_of(look, OTHERS)


def test_a_backlog_is_carried_in_its_order(rig: Rig) -> None:
    events: list[Event] = [RenewalDone(renewal=f"R{number}") for number in range(1, 300)]
    rig.tell(*events)
    relay = rig.relay(page=40)

    counts = [relay.run_once() for _ in range(9)]

    assert counts == [40] * 7 + [19, 0]
    lying = [decode(record.body) for record in rig.lying("renewals", len(events))]
    assert sorted(map(repr, lying)) == sorted(map(repr, events))


def test_events_of_one_key_lie_in_their_order(rig: Rig) -> None:
    events = [asked(key, number) for number in range(1, 60) for key in (1, 2, 3)]
    rig.tell(*events)
    relay = rig.relay(page=7)

    while relay.run_once():
        pass

    lying = [decode(record.body) for record in rig.lying("certificates", len(events))]
    for key in (1, 2, 3):
        own = [e.number for e in lying if isinstance(e, ChangeRequested) and e.certificate == key]
        assert own == list(range(1, 60))


def test_only_one_of_two_relays_leads_and_the_other_takes_over(rig: Rig) -> None:
    rig.tell(*(asked(key) for key in range(10)))
    first, second = rig.relay(page=5), rig.relay(page=5)

    led = [first.run_once(), second.run_once()]
    first.claim.close()
    taken_over = [second.run_once(), second.run_once()]

    assert led == [5, 0]
    assert taken_over == [5, 0]
    drain(rig.delivery(Sql()))
    assert len(effects(rig.store)) == 10


def test_a_code_does_not_wait_behind_a_bulk_run(rig: Rig) -> None:
    rig.tell(*(asked(key) for key in range(100)))
    rig.tell(CodeRequested(challenge="C1", send_number=1))

    assert rig.relay(lane=CODES).run_once() == 1

    (record,) = rig.lying("codes", 1)
    assert record.identity == "code-requested.v1:C1:1"
    assert rig.relay(lane=OTHERS).run_once() == 100


def test_an_event_for_a_branch_that_nobody_declared_is_buried_and_keeps_no_other_waiting(
    rig: Rig,
) -> None:
    rig.tell(TokenJobEnded(branch="999", renewal="R1", why="done"), asked(1))

    rig.relayed()

    assert rig.lying("certificates", 1)[0].identity == asked(1).identity
    assert dead(rig.store) == {
        "R1": "no topic stations.999 is declared: name its branch in XUQI_BRANCHES"
    }
    (fact,) = rig.lying("dead-letters", 1)
    assert fact.key == OTHERS


def test_what_the_relay_buried_is_carried_once_it_is_sent_again(rig: Rig) -> None:
    rig.tell(TokenJobEnded(branch="001", renewal="R1", why="done"))
    narrow = rig.relay()
    narrow.topics = ["dead-letters"]
    narrow.run_once()
    narrow.claim.close()

    with rig.store.transaction() as work:
        (letter,) = dead_letters.list_open(work)
        dead_letters.replay(work, letter.id)
    rig.relayed()

    assert rig.lying("stations.001", 1)[0].identity == "token-job-ended.v1:R1"


class Twelve:
    """What a client knows of a cluster whose topics have twelve partitions."""

    def topics(self) -> set[str]:
        return {"renewals"}

    def partitions_for_topic(self, _topic: str) -> set[int]:
        return set(range(12))

    available_partitions_for_topic = partitions_for_topic


def test_a_key_goes_where_any_other_client_puts_it() -> None:
    ours, theirs = PRODUCER["partitioner"], DefaultPartitioner()
    for number in range(200):
        key = f"R{number:08d}-01".encode()
        asked = ("renewals", key, key, b"", b"", Twelve())
        assert ours.partition(*asked) == theirs.partition(*asked)


def test_topics_are_made_once_and_their_number_of_partitions_is_held(kafka: Connection) -> None:
    topics = Topics(Connection(servers=kafka.servers, prefix=f"{kafka.prefix}more."))
    wanted = declared(["001", "002"])

    before = topics.missing(wanted)
    made = topics.apply(wanted)
    again = topics.apply(wanted)
    topics.check(wanted)

    assert len(before) == len(made) == len(wanted)
    assert f"{kafka.prefix}more.stations.002: make it, with 1 partitions" in before
    assert again == []


def test_a_topic_with_another_number_of_partitions_is_an_error(
    kafka: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("schema.topics.PARTITIONS", 3)
    topics = Topics(kafka)

    with pytest.raises(TopicsError, match="renewals: has 12 partitions instead of 3"):
        topics.check(declared(["001"]))


def test_a_topic_that_is_missing_is_an_error_that_says_what_to_do(kafka: Connection) -> None:
    with pytest.raises(TopicsError, match=r"stations.002: make it.*run `xuqi topics apply`"):
        Topics(kafka).check(declared(["001", "002"]))
