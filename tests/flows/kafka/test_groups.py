"""Members come, go, share and die; each event has its effect once."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from kafka.cluster import ClusterMetadata
from kafka.coordinator.assignors.range import RangePartitionAssignor

from renewal.delivery import ConsumerRunner
from renewal.errors import XuqiError
from renewal.eventlog.kafka import KafkaLog
from renewal.eventlog.port import LogUnavailableError
from schema.tables.log import inbox
from tests.flows.kafka import member as members
from tests.flows.kafka.member import lines
from tests.flows.kafka.rig import (
    NERVOUS,
    ON_EACH_DATABASE,
    ON_KAFKA,
    SOON,
    Rig,
    drain,
    took,
    until,
)
from tests.renewal.delivery.scripted import Sql, asked, dead, effects, rows

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from datetime import timedelta

    from renewal.eventlog.kafka import KafkaReader
    from schema.events import ChangeRequested

pytestmark = ON_KAFKA

#: Where a consumer that acts may be killed, from its intent to its offset.
POINTS = ["after intent", "after answer", "before commit", "committed", "before the offset"]


def settled(rig: Rig) -> int:
    ((count,),) = rows(
        rig.store, sa.select(sa.func.count()).where(inbox.c.state == "settled").select_from(inbox)
    )
    return int(count)


def once_each(events: Sequence[ChangeRequested]) -> Counter[str]:
    return Counter(f"{event.certificate} {event.number}" for event in events)


def written(ledger: Path) -> Counter[str]:
    return Counter(line.rsplit(" ", 1)[0] for line in lines(ledger))


@ON_EACH_DATABASE
def test_a_consumer_killed_between_effect_and_offset_loses_nothing_and_does_nothing_twice(
    rig: Rig, tmp_path: Path
) -> None:
    events = [asked(key) for key in range(200)]
    rig.tell(*events)
    rig.relayed()
    ledger = tmp_path / "ledger"

    for point in POINTS:
        with members.member(rig, ledger, who="first", die_at=point, slot="one") as process:
            assert process.wait(60) == -9
    with members.member(rig, ledger, who="last", slot="one"):
        until(lambda: settled(rig) == len(events))

    assert written(ledger) == once_each(events)
    assert dead(rig.store) == {}


@ON_EACH_DATABASE
def test_two_members_share_the_partitions_and_one_takes_over_from_the_dead(
    rig: Rig, tmp_path: Path
) -> None:
    first, second = ([asked(key, number) for key in range(100)] for number in (1, 2))
    ledger, trickle = tmp_path / "ledger", Trickle(rig)

    with members.member(rig, ledger, who="A") as a, members.member(rig, ledger, who="B"):
        until(lambda: {line[-1] for line in lines(ledger)} == {"A", "B"}, trickle.tell)
        trickle.tell(*first)
        until(lambda: all(count in written(ledger) for count in once_each(first)))
        a.kill()
        a.wait()
        trickle.tell(*second)
        until(lambda: all(count in written(ledger) for count in once_each(second)))

    assert set(written(ledger).values()) == {1}
    assert dead(rig.store) == {}


@ON_EACH_DATABASE
@pytest.mark.parametrize("point", ["after intent", "after answer"])
def test_two_members_that_stand_still_at_once_and_wake_up_later_do_nothing_twice(
    rig: Rig, tmp_path: Path, point: str
) -> None:
    told: list[ChangeRequested] = []
    ledger, trickle = tmp_path / "ledger", Trickle(rig)

    def here(who: str) -> AbstractContextManager[subprocess.Popen[bytes]]:
        stops = point if who in "AB" else ""
        return members.member(rig, ledger, who=who, stop_at=stops, outside=members.KNOWS_IDS)

    with here("A") as a, here("B") as b:
        until(lambda: stands_still(a) and stands_still(b), lambda: told.extend(trickle.tell()))
        with here("C"):
            until(lambda: settled(rig) == len(told))
        in_their_place = {line[-1] for line in lines(ledger)}
        before = len(lines(ledger))
        for process in (a, b):
            process.send_signal(signal.SIGCONT)
        until(
            lambda: {line[-1] for line in lines(ledger)[before:]} >= {"A", "B"},
            lambda: told.extend(trickle.tell()),
        )
        until(lambda: settled(rig) == len(told))

    assert "C" in in_their_place
    assert written(ledger) == once_each(told)
    assert Counter(effects(rig.store)) == Counter((e.certificate, e.number) for e in told)
    assert dead(rig.store) == {}


def stands_still(process: subprocess.Popen[bytes]) -> bool:
    state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state == "T"


class Trickle:
    """Events of new keys, a few at a time, or others."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._next = 1_000
        self._relay = rig.relay()

    def tell(self, *others: ChangeRequested) -> Sequence[ChangeRequested]:
        events = others or [asked(self._next + more) for more in range(20)]
        self._next += 20
        self._rig.tell(*events)
        with suppress(LogUnavailableError):  # on busy cores; the next time carries them
            self._relay.run_once()
        time.sleep(0.1)
        return events


def test_a_member_with_a_name_comes_back_without_a_rebalance(rig: Rig) -> None:
    log = KafkaLog(rig.connection, member="host-1")
    other = rig.reader("tests", ["certificates"], group_instance_id="host-2.tests")
    first = log.reader("tests", ["certificates"])
    both = lambda: _joined(first) and _joined(other) and _shared(first, other)  # noqa: E731
    until(both, lambda: (first.poll(1, SOON), other.poll(1, SOON)))
    before = [_membership(one) for one in (first, other)]

    first.close()
    second = log.reader("tests", ["certificates"])
    until(lambda: _joined(second), lambda: (second.poll(1, SOON), other.poll(1, SOON)))
    rig.tell(*(asked(key) for key in range(20)))
    rig.relayed()
    found: set[str] = set()
    until(
        lambda: len(found) == 20,
        lambda: found.update(one.identity for reader in (second, other) for one in took(reader)),
    )

    assert [_membership(one) for one in (second, other)] == before
    second.close()
    log.close()


def _membership(reader: KafkaReader) -> tuple[int, frozenset[object]]:
    """The group's generation, which each rebalance raises, and the partitions of this member."""
    assert reader._client is not None
    consumer = reader._client.does
    return consumer._coordinator._generation.generation_id, frozenset(consumer.assignment())


def _shared(one: KafkaReader, other: KafkaReader) -> bool:
    (_, mine), (_, theirs) = _membership(one), _membership(other)
    return bool(mine and theirs) and not mine & theirs


@ON_EACH_DATABASE
def test_a_storm_of_members_loses_nothing_and_does_nothing_twice(rig: Rig) -> None:
    told: list[ChangeRequested] = []
    over = threading.Event()
    trouble: list[BaseException] = []

    def come_and_go(number: int) -> None:
        chance = random.Random(number)
        while not over.is_set():
            reader = rig.log.reader("tests", ["certificates"], **NERVOUS)
            delivery = ConsumerRunner(Sql(), reader, rig.store, at_most=10)
            until_ = time.monotonic() + chance.uniform(0.5, 1.5)
            try:
                while time.monotonic() < until_:
                    delivery.run_once(SOON)
            except XuqiError as error:  # the next one goes on
                trouble.append(error)
            finally:
                reader.close()

    threads = [threading.Thread(target=come_and_go, args=(number,)) for number in range(3)]
    trickle = Trickle(rig)
    for thread in threads:
        thread.start()
    end = time.monotonic() + 8
    while time.monotonic() < end:
        told += trickle.tell()
    over.set()
    for thread in threads:
        thread.join()
    drain(rig.delivery(Sql(), **NERVOUS))

    assert not any("TooMany" in type(error).__name__ for error in trouble)
    assert Counter(key for key, _ in effects(rig.store)) == Counter(e.certificate for e in told)
    assert dead(rig.store) == {}


def test_what_was_polled_and_not_committed_is_given_again_to_the_next_member(rig: Rig) -> None:
    rig.tell(*(asked(key) for key in range(10)))
    rig.relayed()
    reader = rig.reader("tests", ["certificates"])
    first: list[str] = []
    until(lambda: bool(first), lambda: first.extend(r.identity for r in reader.poll(5, SOON)))
    reader.close()

    again: list[str] = []
    other = rig.reader("tests", ["certificates"])
    until(lambda: len(set(again)) == 10, lambda: again.extend(r.identity for r in took(other)))

    assert set(again) == {asked(key).identity for key in range(10)}


@ON_EACH_DATABASE
def test_a_topic_read_again_from_zero_leaves_everything_as_it_was_to_the_byte(rig: Rig) -> None:
    events = [asked(key, number) for number in (1, 2, 3) for key in range(100)]
    rig.tell(*events)
    rig.put(("certificates", b"1", b"{", []))
    rig.relayed()
    drain(rig.delivery(Sql()))
    rig.relayed()
    before = rig.dump()

    drain(rig.delivery(Sql(), group="anew"))

    assert rig.dump() == before
    assert len(effects(rig.store)) == len(events)


@ON_EACH_DATABASE
def test_events_doubled_delayed_and_shuffled_across_keys_have_their_effect_once_in_order(
    rig: Rig,
) -> None:
    told = [asked(key, number) for number in (1, 2, 3) for key in range(50)]
    rig.tell(*told)
    chance = random.Random(7)
    by_key = {key: [asked(key, number) for number in (1, 2, 3)] for key in range(50)}
    shuffled = []
    while by_key:
        key = chance.choice(sorted(by_key))
        shuffled.append(by_key[key].pop(0))
        if not by_key[key]:
            del by_key[key]
    rig.log.append(shuffled[:75])
    delivery = rig.delivery(Sql(), at_most=20)
    drain(delivery)
    rig.log.append(shuffled[75:])
    rig.log.append(shuffled)
    rig.relayed()
    drain(delivery)

    found = effects(rig.store)
    assert len(found) == len(told)
    for key in range(50):
        assert [number for k, number in found if k == key] == [1, 2, 3]


def test_a_partition_that_gives_nothing_is_left_and_joined_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("renewal.eventlog.kafka.reader.STUCK_AFTER", SOON)
    reader = rig.reader("tests", ["certificates"])
    until(lambda: _joined(reader), lambda: reader.poll(1, SOON))
    client = reader._client
    assert client is not None
    client.does.pause(*client.does.assignment())  # as it was stuck for good before 3.0.9

    rig.tell(asked(1))
    rig.relayed()
    found: list[str] = []
    until(lambda: bool(found), lambda: found.extend(r.identity for r in took(reader)))

    assert found == [asked(1).identity]
    assert reader._client is not client


def test_partitions_that_are_read_to_their_end_are_not_left(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("renewal.eventlog.kafka.reader.STUCK_AFTER", SOON / 5)
    reader = rig.reader("tests", ["certificates"])
    until(lambda: _joined(reader), lambda: reader.poll(1, SOON))
    client = reader._client

    for key in range(5):
        rig.log.append([asked(key)])
        until(lambda: bool(took(reader)))

    assert reader._client is client


def test_partitions_that_nobody_was_given_are_given_out_though_their_leader_was_killed(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it was for good where the leader knew of no partition yet, and died before it did."""
    assign = RangePartitionAssignor.assign
    given: list[int] = []

    def nothing_at_first(cluster: object, members: Sequence[Any]) -> object:
        given.append(len(members))
        return assign(cluster if len(given) > 1 else ClusterMetadata(), members)

    monkeypatch.setattr(RangePartitionAssignor, "assign", staticmethod(nothing_at_first))
    killed = KafkaLog(rig.connection, member="host-1").reader("tests", ["certificates"])
    until(lambda: bool(given), lambda: killed.poll(1, SOON))
    assert killed._client is not None
    killed._client._cut()
    monkeypatch.setattr("renewal.eventlog.kafka.reader.STUCK_AFTER", SOON)
    reader = KafkaLog(rig.connection, member="host-1").reader("tests", ["certificates"])
    rig.tell(asked(1))
    rig.relayed()
    found: list[str] = []
    until(lambda: bool(found), lambda: found.extend(r.identity for r in took(reader)))
    reader.close()

    assert found == [asked(1).identity]


def test_a_member_that_has_no_partition_because_others_have_them_disturbs_nobody(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("renewal.eventlog.kafka.reader.STUCK_AFTER", SOON / 5)
    one, other = (rig.reader("tests", ["stations.001"]) for _ in range(2))
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(_polled, reader, 12 * SOON) for reader in (one, other)]
        list(map(Future.result, both))

    assert sorted(map(_joined, (one, other))) == [False, True]
    assert not [one for one in caplog.records if one.name == "renewal.eventlog.kafka.reader"]


def _polled(reader: KafkaReader, long: timedelta) -> None:
    until = time.monotonic() + long.total_seconds()
    while time.monotonic() < until:
        reader.poll(1, SOON / 5)


def _joined(reader: KafkaReader) -> bool:
    return reader._client is not None and bool(reader._client.does.assignment())
