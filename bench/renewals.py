"""Renewals a second through the whole chain, beside the bare pipeline in the same run."""

from __future__ import annotations

import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from bench import bank, pipeline, servers
from bench.figures import Figure, at_least, median, ratio, rounded
from schema.tables.log import dead_letters, inbox, parked
from schema.tables.renewals import renewals
from xuqi.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from renewal.delivery import Delivery
    from xuqi.house import House

GOAL = 40  #: per cent of the bare pipeline, per step
WAIT = timedelta(seconds=1)
LOOK_EVERY, PATIENCE = 0.02, 60.0  #: seconds
METHOD = (
    "Renewals: half securities-browser, half cooperative-card (hold, capture), confirmed and on "
    "the log beforehand; then every consumer of the house in a thread of its own, as they are "
    "served, until all is quiet, with the customers' proofs (P-256, verified) in batches of 500 "
    "once all certificates are issued; one process; embedded log; SQLite, WAL, "
    "synchronous=FULL, and PostgreSQL with fsync; providers that do nothing. A step is one event "
    "settled by one consumer. The bare pipeline beside it: four steps with the driver itself, "
    "batches of 500; both {rounds} times in turn, the median."
)


@dataclass(frozen=True)
class Run:
    """
    One run of the whole chain.
    """

    renewals_a_second: float
    steps_a_second: float
    steps_each: float


def figures(*, renewals: int, items: int, rounds: int = 3) -> list[Figure]:
    """
    On SQLite and on PostgreSQL, each beside its own driver.
    """
    with servers.postgresql() as server:
        found = [
            _on(name, where, renewals=renewals, items=items, rounds=rounds)
            for name, where in (("SQLite", None), ("PostgreSQL", server))
        ]
    return [figure for figures in found for figure in figures]


def _on(name: str, server: str | None, *, renewals: int, items: int, rounds: int) -> list[Figure]:
    bare, ours = [], []
    for _ in range(rounds):
        with servers.emptied(server) as url:
            bare.append(pipeline.items_a_second(url, items))
        with servers.emptied(server) as url:
            ours.append(run(url, renewals))
    share = ratio(
        [one.steps_a_second for one in ours], [rate * len(pipeline.STEPS) for rate in bare]
    )
    renewals_a_second = median([one.renewals_a_second for one in ours])
    steps_a_second = median([one.steps_a_second for one in ours])
    driver = len(pipeline.STEPS) * median(bare)
    return [
        Figure(
            what=f"the whole chain, {renewals:,} renewals with real proofs of P-256, {name}",
            value=renewals_a_second,
            unit="renewals/s",
            shown=", ".join(
                (rounded(renewals_a_second, "renewals/s"), rounded(steps_a_second, "steps/s"))
            ),
            method=METHOD.format(rounds=rounds),
        ),
        at_least(
            f"the same of the bare driver's rate, per step, {name}",
            100 * share,
            "%",
            GOAL,
            shown=f"{rounded(100 * share, '%')} of {rounded(driver, 'steps/s')}",
        ),
    ]


def run(url: str, count: int) -> Run:
    """
    Take so many renewals from confirmed to done.
    """
    with tempfile.TemporaryDirectory() as folder:
        return _run(bank.opened(Settings(home=Path(folder), store_url=url)), count)


def _run(house: House, count: int) -> Run:
    try:
        bank.take_in(house, 1, count)
        asked = bank.ask(house, 1, count)
        signatures = [one.signature() for one in asked]
        deliveries = [house.delivery(consumer) for consumer in house.consumers()]
        began = time.perf_counter()
        with _served(house, deliveries):
            _until(house, "issued", count)
            bank.prove(house, asked, signatures)
            _until(house, "done", count)
        until_quiet(deliveries)
        seconds = time.perf_counter() - began
        steps = _all_well(house, count)
        for delivery in deliveries:
            delivery.reader.close()
    finally:
        house.store.close()
    return Run(count / seconds, steps / seconds, steps / count)


@contextmanager
def _served(house: House, deliveries: Sequence[Delivery]) -> Iterator[None]:
    stop = threading.Event()

    def deliver(delivery: Delivery) -> None:
        while not stop.is_set():
            delivery.run_once(WAIT)

    with ThreadPoolExecutor(len(deliveries)) as pool:
        at_work = [pool.submit(deliver, delivery) for delivery in deliveries]
        try:
            yield
        finally:
            stop.set()
            house.store.wake()
    for one in at_work:
        one.result()


def _until(house: House, state: str, count: int) -> None:
    """
    Return when so many renewals are in this state; give up when none has come for long.
    """
    query = sa.select(sa.func.count()).where(renewals.c.state == state)
    found, last = 0, time.monotonic()
    while found < count:
        assert time.monotonic() - last < PATIENCE, f"{found} of {count} renewals are {state}"
        time.sleep(LOOK_EVERY)
        with house.store.look() as look:
            now = look.connection.scalar(query) or 0
        found, last = now, time.monotonic() if now > found else last


def until_quiet(deliveries: Sequence[Delivery]) -> None:
    while sum(delivery.run_once() for delivery in deliveries):
        pass


def _all_well(house: House, count: int) -> int:
    """
    Each renewal is done, nothing waits and nothing has died; return how many steps it took.
    """
    with house.store.look() as look:
        scalar = look.connection.scalar
        done = scalar(sa.select(sa.func.count()).where(renewals.c.state == "done"))
        left = [
            scalar(sa.select(sa.func.count()).select_from(table))
            for table in (parked, dead_letters)
        ]
        steps = scalar(sa.select(sa.func.count()).where(inbox.c.state == "settled"))
    assert (done, left) == (count, [0, 0]), f"{done} of {count} are done; waiting, dead: {left}"
    return int(steps or 0)
