"""The same four steps as tasks of Celery: acknowledged late, one commit for each."""

from __future__ import annotations

import os
from functools import cache

import psycopg
from celery import Celery

from bench.pipeline import STEPS, one

DATABASE, BROKER = "BENCH_DATABASE", "BENCH_BROKER"  #: of the environment of its workers

app = Celery("bench", broker=os.environ.get(BROKER))
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=64,  # many short tasks: Celery's own advice
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)


@cache
def _connection() -> psycopg.Connection:
    """One for each process of the worker, opened after the fork."""
    return psycopg.connect(os.environ[DATABASE], autocommit=True)


@app.task(name="step")
def step(number: int, seq: int) -> None:
    following = one(_connection(), number, seq)
    if number + 1 < len(STEPS):
        step.delay(number + 1, following)


def lay(events: list[int]) -> None:
    """A task for the first event of each item."""
    for seq in events:
        step.delay(0, seq)


def worker(cores: int) -> list[str]:
    """The command of a worker with so many processes."""
    words = f"-W ignore -m celery -A bench.celery_side worker -P prefork -c {cores} -l ERROR"
    return [*words.split(), "--without-gossip", "--without-mingle", "--without-heartbeat"]
