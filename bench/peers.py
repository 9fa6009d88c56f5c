"""The same durable work as tasks of the peers, each with its own workers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import psycopg

from bench import pipeline, servers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

AT_MOST = 600.0  #: seconds for all items
LOOK = 0.02  #: seconds
CORES = max(2, os.cpu_count() or 1)


def celery(url: str, broker: str, items: int) -> float:
    """Items a second through Celery on Redis."""
    from bench import celery_side  # noqa: PLC0415 - a package of the benchmark's own

    dsn = servers.dsn(url)
    celery_side.app.conf.broker_url = broker
    with psycopg.connect(dsn, autocommit=True) as connection:
        celery_side.lay(_laid(connection, items))
        about = {celery_side.DATABASE: dsn, celery_side.BROKER: broker}
        return _timed(connection, items, [celery_side.worker(CORES)], about)


def procrastinate(url: str, items: int) -> float:
    """Items a second through Procrastinate, whose jobs are rows of the same database."""
    from bench import procrastinate_side  # noqa: PLC0415 - a package of the benchmark's own

    dsn = servers.dsn(url)
    with psycopg.connect(dsn, autocommit=True) as connection:
        procrastinate_side.lay(dsn, _laid(connection, items))
        about = {procrastinate_side.DATABASE: dsn}
        return _timed(connection, items, [procrastinate_side.worker()] * CORES, about)


def _laid(connection: psycopg.Connection, items: int) -> list[int]:
    """The tables with so many items; the numbers of their first events."""
    pipeline.make(connection)
    pipeline.lay(connection.cursor(), items, "%s")
    return [seq for (seq,) in connection.execute("SELECT seq FROM events ORDER BY seq")]


def _timed(
    connection: psycopg.Connection,
    items: int,
    workers: Sequence[Sequence[str]],
    about: dict[str, str],
) -> float:
    """
    The items' rate from the first note that is seen to the last: no start of a worker is in it.
    """
    steps = items * len(pipeline.STEPS)
    until = time.monotonic() + AT_MOST
    with ExitStack() as stack:
        started = [stack.enter_context(_started(words, about)) for words in workers]
        first = began = 0.0
        while (noted := _noted(connection)) < steps:
            assert time.monotonic() < until, f"{noted} of {steps} steps in {AT_MOST} seconds"
            assert all(one.poll() is None for one in started), "a worker has ended"
            if noted and not began:
                first, began = noted, time.perf_counter()
            time.sleep(LOOK)
        seconds = time.perf_counter() - began
    pipeline.all_went_through(connection.cursor(), items)
    return (steps - first) / len(pipeline.STEPS) / seconds


def _noted(connection: psycopg.Connection) -> int:
    found = connection.execute("SELECT count(*) FROM inbox").fetchone()
    assert found is not None
    return int(found[0])


@contextmanager
def _started(words: Sequence[str], about: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, *words], env={**os.environ, **about}, stdout=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=60)
