"""The servers beside a benchmark; each run gets an empty database of theirs."""

from __future__ import annotations

import tempfile
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from renewal.eventlog.kafka import Connection
from simulation.servers import kafka
from simulation.servers import postgresql as database_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager


def postgresql() -> AbstractContextManager[str]:
    """A PostgreSQL that keeps what was committed over a power cut, for every side alike."""
    return database_server.cluster(database_server.DURABLE)


@contextmanager
def broker() -> Iterator[str]:
    """One node of Apache Kafka; gives its address."""
    with tempfile.TemporaryDirectory(prefix="xuqi-kafka-") as folder:
        nodes = kafka.cluster(Path(folder))
        try:
            nodes.start()
            yield nodes.servers[0]
        finally:
            nodes.stop()


def connection(broker: str) -> Connection:
    """A part of the broker that nobody else uses, with no topic yet."""
    return Connection(servers=(broker,), prefix=f"{uuid.uuid4().hex[:8]}.")


@contextmanager
def emptied(server: str | None) -> Iterator[str]:
    """An empty database of that server, or a SQLite file; gives its URL."""
    if server is None:
        with tempfile.TemporaryDirectory(prefix="xuqi-bench-") as folder:
            yield f"sqlite:///{folder}/store.db"
    else:
        with database_server.database(server, f"bench_{uuid.uuid4().hex[:8]}") as url:
            yield url


def dsn(url: str) -> str:
    """The same database as psycopg itself is told of it."""
    parsed = sa.make_url(url)
    return f"host={parsed.query['host']} user={parsed.username} dbname={parsed.database}"
