"""What all tests of one run share: their process, and a broker."""

from __future__ import annotations

import gc
import signal
import uuid
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from schema.topics import declared
from xuqi.demo.servers import CannotStartError
from xuqi.demo.servers.kafka import cluster, collect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from renewal.eventlog.kafka import Connection
    from xuqi.demo.servers.kafka import Broker


def _of_the_process() -> object:
    told = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    return gc.isenabled(), gc.get_threshold(), told


@pytest.fixture(autouse=True)
def _the_process_stays_as_it_was() -> Iterator[None]:
    """
    Whoever serves sets collector and signals for it: a test that did so would change the others.
    """
    before = _of_the_process()
    yield
    assert _of_the_process() == before


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """
    One node, started for the first test that needs it. If it cannot be started, they fail.
    """
    nodes = cluster(tmp_path_factory.mktemp("kafka"))
    with ExitStack() as stack:
        stack.callback(collect)  # last of all, when nobody tries to reach the broker any more
        stack.callback(nodes.stop)
        try:
            nodes.start()
        except CannotStartError as error:
            pytest.fail(f"no broker: {error}", pytrace=False)
        yield nodes.brokers[0]


@pytest.fixture
def kafka(broker: Broker) -> Iterator[Connection]:
    """
    A part of the broker that nobody else uses, with every topic of an installation.
    """
    from renewal.eventlog.kafka import Connection, Topics  # noqa: PLC0415 - slow to import

    connection = Connection(servers=(broker.server,), prefix=f"{uuid.uuid4().hex[:8]}.")
    Topics(connection).apply(declared(["001"]))
    yield connection
    collect()
