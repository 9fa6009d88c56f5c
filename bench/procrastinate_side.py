"""The same four steps as jobs of Procrastinate: one commit for each."""

from __future__ import annotations

import asyncio
import os

import procrastinate
import psycopg_pool

from bench.pipeline import STEPS, one_async

DATABASE = "BENCH_DATABASE"  #: of the environment of its workers
AT_ONCE = 10  #: jobs of one worker; more was not faster

app = procrastinate.App(
    connector=procrastinate.PsycopgConnector(
        conninfo=os.environ.get(DATABASE, ""), min_size=2, max_size=AT_ONCE
    )
)
_pool: list[psycopg_pool.AsyncConnectionPool] = []


@app.task(name="step")
async def step(number: int, seq: int) -> None:
    async with _pool[0].connection() as connection:
        following = await one_async(connection, number, seq)
    if number + 1 < len(STEPS):
        await step.defer_async(number=number + 1, seq=following)


async def _lay(database: str, events: list[int]) -> None:
    connector = procrastinate.PsycopgConnector(conninfo=database)
    with app.replace_connector(connector):
        async with app.open_async():
            await app.schema_manager.apply_schema_async()
            await step.batch_defer_async(*({"number": 0, "seq": seq} for seq in events))


def lay(database: str, events: list[int]) -> None:
    """Its tables, and a job for the first event of each item."""
    asyncio.run(_lay(database, events))


def work() -> None:
    """Work until told to stop."""
    asyncio.run(_work())


async def _work() -> None:
    database = os.environ[DATABASE]
    settings = {"min_size": AT_ONCE, "max_size": AT_ONCE, "kwargs": {"autocommit": True}}
    async with (
        psycopg_pool.AsyncConnectionPool(database, open=False, **settings) as pool,
        app.open_async(),
    ):
        _pool.append(pool)
        await app.run_worker_async(concurrency=AT_ONCE)


def worker() -> list[str]:
    """The command of a worker."""
    return ["-c", "from bench.procrastinate_side import work; work()"]
