"""Renewals a second through the whole chain, beside the bare pipeline in the same run."""

from __future__ import annotations

import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from bench import bank, components, pipeline, servers
from bench.figures import Figure, at_least, median, rounded
from consumers.registry import CONSUMERS
from schema.tables.log import dead_letters, inbox, parked
from schema.tables.renewals import renewals
from xuqi.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from renewal.delivery import ConsumerRunner
    from xuqi.bootstrap import App

GOAL = 40  #: per cent of the bare pipeline, per step
WAIT = timedelta(seconds=1)
#: Seconds. Each look counts rows, on the cores that are measured.
LOOK_EVERY, PATIENCE = 0.25, 60.0
QUIET = 1.0  #: seconds without a step, after which there comes no more
_ROWS = sa.text("SELECT sum(n_tup_ins + n_tup_upd + n_tup_del)::bigint FROM pg_stat_user_tables")
METHOD = (
    "Renewals: half securities-browser, half cooperative-card (hold, capture), confirmed and on "
    "the log beforehand; then every consumer of the house until all is quiet, with the customers' "
    "proofs (P-256, verified), 500 together as soon as they have their certificates: on SQLite, "
    "which has one writer, each in a thread of one process, on PostgreSQL each in a process of its "
    "own "
    "(`xuqi serve`), beside the customers'. Embedded log; SQLite, WAL, synchronous=FULL, and "
    "PostgreSQL with fsync; providers that do nothing. A step is one event settled by one "
    "consumer. The bare pipeline beside it: four steps with the driver itself, batches of 500; "
    "both {rounds} times in turn, the median. Rows written: added, changed or removed while it "
    "ran, by PostgreSQL's own count (`pg_stat_user_tables`); {bare} a step by the bare driver."
)


@dataclass(frozen=True)
class Run:
    """One run of the whole chain."""

    renewals_a_second: float
    steps_a_second: float
    rows_a_step: float | None  #: that were written, where the database counts them


def figures(*, renewals: int, items: int, rounds: int = 3) -> list[Figure]:
    """On SQLite and on PostgreSQL, each beside its own driver."""
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
    shares = [
        one.steps_a_second / (rate * len(pipeline.STEPS))
        for one, rate in zip(ours, bare, strict=True)
    ]
    share = median(shares)
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
            method=METHOD.format(rounds=rounds, bare=pipeline.ROWS_A_STEP),
        ),
        at_least(
            f"the same of the bare driver's rate, per step, {name}",
            100 * share,
            "%",
            GOAL,
            shown=f"{rounded(100 * share, '%')} of {rounded(driver, 'steps/s')}",
        ),
        *_by_rows(name, shares, [one.rows_a_step for one in ours if one.rows_a_step]),
    ]


def _by_rows(name: str, shares: list[float], rows: list[float]) -> Iterator[Figure]:
    """
    The share for equal work: a step of the chain writes more rows than one of the bare pipeline.
    """
    if rows:
        bare = pipeline.ROWS_A_STEP
        share = 100 * median([one * each / bare for one, each in zip(shares, rows, strict=True)])
        each = f"{rounded(median(rows), 'rows')} a step, the bare driver {bare}"
        yield Figure(
            what=f"the same per row written, {name}",
            value=share,
            unit="%",
            shown=f"{rounded(share, '%')}; {each}",
        )


def run(url: str, count: int) -> Run:
    """Take so many renewals from confirmed to done."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder), store_url=url)
        app = bank.opened(settings)
        with closing(app.store), _at_the_door(app) as begin:
            bank.take_in(app, 1, count)
            asked = bank.ask(app, 1, count)
            signatures = [one.signature() for one in asked]
            before = _rows_written(app)
            began = time.perf_counter()
            begin()
            for start in range(0, count, bank.PAGE):
                page = asked[start : start + bank.PAGE]
                ids = renewals.c.id.between(page[0].renewal, page[-1].renewal)
                _until(app, ids & (renewals.c.state == "issued"), len(page))
                bank.prove(app, page, signatures[start : start + bank.PAGE])
            _until(app, renewals.c.state == "done", count)
            seconds = _quiet_since(app) - began
            steps = _all_well(app, count)
        written = _rows_written(app) - before
    return Run(count / seconds, steps / seconds, written / steps or None)


def _at_the_door(app: App) -> AbstractContextManager[Callable[[], object]]:
    """Every consumer, ready; what is given lets them begin."""
    if app.settings.store.startswith("sqlite"):
        return _in_threads(app)
    return components.at_the_door(app.settings, *([name] for name in CONSUMERS))


@contextmanager
def _in_threads(app: App) -> Iterator[Callable[[], object]]:
    begin, stop = threading.Event(), threading.Event()
    deliveries = [app.runner(consumer) for consumer in app.consumers()]

    def deliver(delivery: ConsumerRunner) -> None:
        begin.wait()
        while not stop.is_set():
            delivery.run_once(WAIT)
        delivery.reader.close()

    with ThreadPoolExecutor(len(deliveries)) as pool:
        at_work = [pool.submit(deliver, delivery) for delivery in deliveries]
        try:
            yield begin.set
        finally:
            stop.set()
            begin.set()
            app.store.announce_change()
    for one in at_work:
        one.result()


def _quiet_since(app: App) -> float:
    """The moment of the last step, once there has been none for long."""
    steps, last = _steps(app), time.perf_counter()
    while time.perf_counter() - last < QUIET:
        time.sleep(LOOK_EVERY)
        now = _steps(app)
        steps, last = now, time.perf_counter() if now > steps else last
    return last


def _rows_written(app: App) -> int:
    """
    By the database's own count; 0 where it keeps none.

    Each session tells what it wrote when it ends, a moment later and nobody of it: it is asked for
    until it grows no more.
    """
    if app.store.engine.dialect.name != "postgresql":
        return 0
    app.store.engine.dispose()
    told, found = -1, 0
    while told != found:
        time.sleep(QUIET / 2)
        with app.store.engine.connect() as connection:
            told, found = found, connection.scalar(_ROWS) or 0
    app.store.engine.dispose()
    return found


def _steps(app: App) -> int:
    return _count(app, inbox, inbox.c.state == "settled")


def _count(app: App, table: sa.Table, which: sa.ColumnElement[bool]) -> int:
    with app.store.snapshot() as look:
        query = sa.select(sa.func.count()).select_from(table).where(which)
        return look.connection.scalar(query) or 0


def _until(app: App, which: sa.ColumnElement[bool], count: int) -> None:
    """Return when there are so many such renewals; give up when none has come for long."""
    found, last = _count(app, renewals, which), time.monotonic()
    while found < count:
        assert time.monotonic() - last < PATIENCE, f"{found} of {count} renewals: {which}"
        time.sleep(LOOK_EVERY)
        now = _count(app, renewals, which)
        found, last = now, time.monotonic() if now > found else last


def _all_well(app: App, count: int) -> int:
    """Each renewal is done, nothing waits and nothing has died; return how many steps it took."""
    done = _count(app, renewals, renewals.c.state == "done")
    left = [_count(app, table, sa.true()) for table in (parked, dead_letters)]
    assert (done, left) == (count, [0, 0]), f"{done} of {count} are done; waiting, dead: {left}"
    return _steps(app)
