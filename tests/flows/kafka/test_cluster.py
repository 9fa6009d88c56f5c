"""One of three brokers is killed while events are confirmed: each confirmed one is there."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from renewal.eventlog.kafka import Connection, KafkaLog, Publisher, Topics
from renewal.eventlog.port import LogUnavailableError
from schema.topics import declared
from simulation.servers.kafka import Cluster, cluster
from tests.flows.kafka.rig import ON_KAFKA, took, until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [*ON_KAFKA, pytest.mark.slow]

PACE, BATCH, SECONDS = 2_000, 100, 12.0


@pytest.fixture
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    nodes = cluster(tmp_path_factory.mktemp("three"), nodes=3)
    try:
        nodes.start()
        yield nodes
    finally:
        nodes.stop()


def test_a_killed_broker_of_three_loses_no_confirmed_event(three: Cluster) -> None:
    connection = Connection(servers=three.servers)
    Topics(connection, replication=3).apply(declared(["001"]))
    publisher = Publisher(connection)
    killer = threading.Timer(SECONDS / 3, three.brokers[0].kill)
    confirmed: set[str] = set()
    failed: list[LogUnavailableError] = []
    longest = number = 0.0

    killer.start()
    start = time.monotonic()
    for number in range(int(PACE * SECONDS / BATCH)):
        names = [f"{number * BATCH + more}" for more in range(BATCH)]
        began = time.monotonic()
        while True:
            try:
                publisher.send(
                    ("renewals", name.encode(), b"{}", [("ce_id", name.encode())]) for name in names
                )
            except LogUnavailableError as error:
                failed.append(error)
            else:
                break
        longest = max(longest, time.monotonic() - began)
        confirmed.update(names)
        time.sleep(max(0.0, start + (number + 1) * BATCH / PACE - time.monotonic()))
    publisher.close()
    killer.join()

    log = KafkaLog(connection)
    reader = log.reader("onlooker", ["renewals"])
    found: set[str] = set()
    until(
        lambda: confirmed <= found, lambda: found.update(record.identity for record in took(reader))
    )
    reader.close()
    log.close()
    assert three.brokers[0].process is not None
    assert three.brokers[0].process.poll() == -9
    assert len(confirmed) == PACE * SECONDS
    assert found == confirmed
    assert longest < 30, failed
