"""Runs the demo."""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from random import Random
from typing import TYPE_CHECKING

from renewal.clock import VirtualClock
from renewal.db.synchronous import Synchronous
from renewal.gateways.activity_log import ActivityLog
from schema.taipei import TAIPEI
from simulation import report
from simulation.branch import open_branches
from simulation.checker import judge
from simulation.one_process import OneProcess
from simulation.outside import CaView, Faults, Tail, open_ca, open_outside
from simulation.people import Trait, make_customer
from simulation.sample import open_bank
from simulation.servers import CannotStartError
from simulation.story import Simulation
from xuqi.bootstrap import bootstrap
from xuqi.event_log import declared_topics, topics
from xuqi.key_files import read_keys
from xuqi.settings import Settings
from xuqi.station_keys import enrol_own, station_identity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from simulation.bank import MovedClock, SimulatedBank
    from simulation.people import SimulatedCustomer
    from xuqi.bootstrap import App

#: Monday, 00:00 in Taipei.
START = datetime(2026, 3, 1, 16, 0, tzinfo=UTC)
DAYS = 75
OPENS = 7  #: o'clock, the day's first tick


def main(seed: int, customers: int, days: int, home: Path) -> int:
    """
    Run the demo from the beginning, all in this process; return 0 if nothing went wrong in it.
    """
    began = time.monotonic()
    _cleared(home)
    clock = VirtualClock(START - timedelta(hours=1))
    settings = Settings(home=home, synchronous=Synchronous.NORMAL, bank=Settings.SAMPLE)
    stage = _set_up(settings, clock, seed, customers)
    story = stage.story(OneProcess(stage.app, clock, stage.cards))
    _with_progress(story, days, began)
    return _reported(story, Kept(seed=seed, days=days, began=began))


def main_on_kafka(seed: int, customers: int, days: int, home: Path) -> int:
    """
    Run it on a Kafka broker and a PostgreSQL server of its own, each component in processes
    that are killed at random; return 0 if nothing went wrong in it.

    Raises:
        CannotStartError: the broker or the server.
    """
    if not all(map(find_spec, ("kafka", "psycopg"))):
        raise CannotStartError(
            "kafka-python or psycopg is missing: `make demo-kafka` installs them"
        )
    from simulation.components import DemoSettings, clock_of  # noqa: PLC0415 - only where there is Kafka
    from simulation.many_processes import BRANCHES, CONNECTIONS, ManyProcesses  # noqa: PLC0415
    from simulation.servers import kafka, postgresql  # noqa: PLC0415

    began = time.monotonic()
    _cleared(home)
    _say("a Kafka broker and a PostgreSQL server are started …")
    with ExitStack() as stack:
        broker = kafka.cluster(home / "kafka")
        stack.callback(broker.stop)
        broker.start()
        settings = Settings(
            home=home,
            store_url=stack.enter_context(postgresql.cluster(connections=CONNECTIONS)),
            log_url=f"kafka://{','.join(broker.servers)}",
            branches=",".join(BRANCHES),
            port=kafka.free_port(),
        )
        topics(settings).apply(declared_topics(settings))
        clock = clock_of(home)
        clock.advance_to(START - timedelta(hours=1))
        stage = _set_up(settings, clock, seed, customers)
        stack.callback(stage.app.store.close)
        bank = ManyProcesses(
            stage.app, clock, DemoSettings(settings=settings, seed=seed, empty=stage.empty)
        )
        stack.enter_context(bank.open())
        story = stage.story(bank)
        with bank.members.killing():
            _with_progress(story, days, began)
        kept = Kept(
            seed=seed,
            days=days,
            began=began,
            kills=dict(sorted(bank.members.kills.items())),
            ended=bank.members.ended,
        )
        return _reported(story, kept)


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What the report says besides what it counts."""

    seed: int
    days: int
    began: float
    kills: Mapping[str, int] | None = None
    ended: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The sample bank on its first day, and what the outside systems will write down."""

    app: App
    people: list[SimulatedCustomer]
    empty: frozenset[str]
    cards: ActivityLog

    def story(self, bank: SimulatedBank) -> Simulation:
        outside = self.app.settings.home / "outside"
        saw = ActivityLog(outside / "customers.jsonl", bank.clock)
        outside_ca = CaView(Tail(outside / "ca.jsonl"))
        story = Simulation(bank, self.people, self.cards, saw, outside_ca)
        open_branches(story)
        return story


def _with_progress(story: Simulation, days: int, began: float) -> None:
    _say(f"{len(story.people)} customers; the clock runs {days} days …")
    story.run(START + timedelta(days=days), lambda moment: _progress(moment, days, began))
    _say("")


def _reported(story: Simulation, kept: Kept) -> int:
    app, home = story.app, story.app.settings.home
    figures = report.collect(app, story.people, seed=kept.seed, days=kept.days)
    violations = judge(
        home / "outside",
        policies=app.policies.by_product,
        ended=True,
        unreachable=[one.number for one in story.people if one.has(Trait.OPTED_OUT)],
    )
    figures = replace(
        figures,
        judged=[f"{one.invariant}: {one.what}" for one in violations],
        kills=kept.kills,
        ended=kept.ended,
        seconds=round(time.monotonic() - kept.began, 1),
    )
    report.write(figures, home)
    report.show(figures, home)
    return 0 if not figures.judged and not any(figures.check.values()) and not kept.ended else 1


def _cleared(home: Path) -> None:
    """An interrupted run leaves nothing that a new one needs."""
    if home.exists():
        shutil.rmtree(home)
    home.mkdir(parents=True)


def _set_up(settings: Settings, clock: MovedClock, seed: int, customers: int) -> Stage:
    home = settings.home
    keys = read_keys(settings)
    _say("the sample bank is opened …")
    people = [make_customer(number, seed, START) for number in range(1, customers + 1)]
    empty = frozenset(one.account for one in people if one.has(Trait.EMPTY_ACCOUNT))
    ca = open_ca(home, clock, keys)
    cards = ActivityLog(home / "outside" / "cards.jsonl", clock)
    outside = open_outside(home, clock, ca, Faults(seed), empty)
    app = bootstrap(settings, clock=clock, outside=replace(outside, ca=ca))
    open_bank(app, people, cards)
    for branch in ("001", "002"):
        enrol_own(app.store, station_identity(home, branch))
    clock.advance_to(START)
    # The codes come from the seed, so that the same story has the same messages. Only here.
    seeded = Random(f"the demo's codes {seed}").randbytes  # noqa: S311 - a story
    app = replace(app, gateways=outside, random=seeded)
    return Stage(app=app, people=people, empty=empty, cards=cards)


def _progress(moment: datetime, days: int, began: float) -> None:
    local = moment.astimezone(TAIPEI)
    if local.hour != OPENS:
        return
    day = (moment - START).days + 1
    width = 40
    done = "█" * (width * day // days)
    end = "\r" if sys.stderr.isatty() else "\n"
    if sys.stderr.isatty() or day % 15 == 0:
        seconds = time.monotonic() - began
        print(
            f"  {local:%Y/%m/%d}  {done:<{width}}  day {day:>2}/{days}  {seconds:5.1f} s",
            end=end,
            file=sys.stderr,
            flush=True,
        )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
