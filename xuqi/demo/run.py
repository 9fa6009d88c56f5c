"""Runs the demo and says what came of it."""

from __future__ import annotations

import hashlib
import shutil
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING

from renewal.clock import VirtualClock
from renewal.gateways.ledger import OutsideLedger
from renewal.rules.taipei import TAIPEI
from renewal.store.synchronous import Synchronous
from xuqi.demo import report
from xuqi.demo.judge import judge
from xuqi.demo.one_process import OneProcess
from xuqi.demo.outside import CaView, Faults, Tail, open_ca, open_outside
from xuqi.demo.people import Trait, make_person
from xuqi.demo.sample import open_bank
from xuqi.demo.servers import CannotStartError
from xuqi.demo.story import Story
from xuqi.house import build
from xuqi.logs import declared_topics, topics
from xuqi.settings import Settings, read_keys

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from xuqi.demo.bank import Bank, MovedClock
    from xuqi.demo.people import Person
    from xuqi.house import House

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
    settings = Settings(home=home, synchronous=Synchronous.NORMAL)
    stage = _set_up(settings, clock, seed, customers)
    story = stage.story(OneProcess(stage.house, clock, stage.cards))
    _told(story, days, began)
    return _reported(story, Kept(seed=seed, days=days, began=began))


def main_on_kafka(seed: int, customers: int, days: int, home: Path) -> int:
    """
    Run it on a Kafka broker and a PostgreSQL server of its own, each room in processes that are
    killed at random; return 0 if nothing went wrong in it.

    Raises:
        CannotStartError: the broker or the server.
    """
    if not all(map(find_spec, ("kafka", "psycopg"))):
        raise CannotStartError(
            "kafka-python or psycopg is missing: `make demo-kafka` installs them"
        )
    from xuqi.demo.many_processes import BRANCHES, CONNECTIONS, ManyProcesses  # noqa: PLC0415
    from xuqi.demo.rooms import Told, clock_of  # noqa: PLC0415 - only where there is Kafka
    from xuqi.demo.servers import kafka, postgresql  # noqa: PLC0415

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
        stack.callback(stage.house.store.close)
        bank = ManyProcesses(
            stage.house, clock, Told(settings=settings, seed=seed, empty=stage.empty)
        )
        stack.enter_context(bank.open())
        story = stage.story(bank)
        with bank.members.killing():
            _told(story, days, began)
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
    """
    What the report says besides what it counts.
    """

    seed: int
    days: int
    began: float
    kills: Mapping[str, int] | None = None
    ended: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Stage:
    """
    The sample bank on its first day, and what the world outside will write down.
    """

    house: House
    people: list[Person]
    empty: frozenset[str]
    cards: OutsideLedger

    def story(self, bank: Bank) -> Story:
        outside = self.house.settings.home / "outside"
        saw = OutsideLedger(outside / "customers.jsonl", bank.clock)
        return Story(bank, self.people, self.cards, saw, CaView(Tail(outside / "ca.jsonl")))


def _told(story: Story, days: int, began: float) -> None:
    _say(f"{len(story.people)} customers; the clock runs {days} days …")
    story.run(START + timedelta(days=days), lambda moment: _progress(moment, days, began))
    _say("")


def _reported(story: Story, kept: Kept) -> int:
    house, home = story.house, story.house.settings.home
    figures = report.collect(house, story.people, seed=kept.seed, days=kept.days)
    violations = judge(
        home / "outside",
        policies=house.policies.by_product,
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
    """
    An interrupted run leaves nothing that a new one needs.
    """
    if home.exists():
        shutil.rmtree(home)
    home.mkdir(parents=True)


def _set_up(settings: Settings, clock: MovedClock, seed: int, customers: int) -> Stage:
    home = settings.home
    _seeded_codes(home, seed)
    keys = read_keys(settings)
    _say("the sample bank is opened …")
    people = [make_person(number, seed, START) for number in range(1, customers + 1)]
    empty = frozenset(one.account for one in people if one.has(Trait.EMPTY_ACCOUNT))
    ca = open_ca(home, clock, keys)
    cards = OutsideLedger(home / "outside" / "cards.jsonl", clock)
    outside = open_outside(home, clock, ca, Faults(seed), empty)
    house = build(settings, clock=clock, outside=replace(outside, ca=ca))
    open_bank(house, people, cards)
    clock.advance_to(START)
    return Stage(house=replace(house, outside=outside), people=people, empty=empty, cards=cards)


def _seeded_codes(home: Path, seed: int) -> None:
    """
    The codes come from the seed, so that the same story has the same messages. Only here.
    """
    folder = home / "secrets"
    folder.mkdir(parents=True, mode=0o700)
    secret = folder / "codes.key"
    secret.touch(mode=0o600)
    secret.write_text(hashlib.sha256(f"the demo's codes {seed}".encode()).hexdigest())


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
