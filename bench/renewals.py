"""Renewals a second through the whole chain, beside the bare pipeline in the same run."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from bench import bank, pipeline
from bench.figures import Figure, at_least, median
from schema.tables.log import dead_letters, inbox, parked
from schema.tables.renewals import renewals

if TYPE_CHECKING:
    from renewal.delivery import Delivery
    from xuqi.house import House

GOAL = 40  #: per cent of the bare pipeline, per step
METHOD = (
    "Renewals: half securities-browser, half cooperative-card (hold, capture), confirmed and on "
    "the log beforehand; then every consumer of the house in one thread until all is quiet, with "
    "the customers' proofs (P-256, verified) in batches of 500 between; SQLite, WAL, "
    "synchronous=FULL; providers that do nothing. A step is one event settled by one consumer. "
    "The bare pipeline beside it: four steps with the driver itself, batches of 500; both {rounds} "
    "times in turn, the median."
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
    Both sides, in turn.
    """
    bare, ours = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            bare.append(pipeline.items_a_second(Path(folder), items))
        with tempfile.TemporaryDirectory() as folder:
            ours.append(run(Path(folder), renewals))
    shares = [
        100 * one.steps_a_second / (rate * len(pipeline.STEPS))
        for one, rate in zip(ours, bare, strict=True)
    ]
    method = METHOD.format(rounds=rounds)
    return [
        Figure(what="bare pipeline, four steps", value=median(bare), unit="items/s", method=method),
        Figure(
            what=f"whole chain, {renewals:,} renewals",
            value=median([one.renewals_a_second for one in ours]),
            unit="renewals/s",
        ),
        Figure(
            what=f"whole chain, {median([one.steps_each for one in ours]):.1f} steps a renewal",
            value=median([one.steps_a_second for one in ours]),
            unit="steps/s",
        ),
        at_least("whole chain / bare pipeline, per step", median(shares), "%", GOAL),
    ]


def run(folder: Path, count: int) -> Run:
    """
    Take so many renewals from confirmed to done.
    """
    house = bank.opened(folder)
    try:
        bank.take_in(house, 1, count)
        asked = bank.ask(house, 1, count)
        signatures = [one.signature() for one in asked]
        deliveries = [house.delivery(consumer) for consumer in house.consumers()]
        began = time.perf_counter()
        until_quiet(deliveries)
        bank.prove(house, asked, signatures)
        until_quiet(deliveries)
        seconds = time.perf_counter() - began
        steps = _all_well(house, count)
    finally:
        house.store.close()
    return Run(count / seconds, steps / seconds, steps / count)


def until_quiet(deliveries: list[Delivery]) -> None:
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
