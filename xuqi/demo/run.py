"""Runs the demo and says what came of it."""

from __future__ import annotations

import hashlib
import shutil
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
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
from xuqi.demo.story import Story
from xuqi.house import build
from xuqi.settings import Settings, read_keys

if TYPE_CHECKING:
    from pathlib import Path

    from xuqi.house import House

#: Monday, 00:00 in Taipei.
START = datetime(2026, 3, 1, 16, 0, tzinfo=UTC)
DAYS = 75
OPENS = 7  #: o'clock, the day's first tick


def main(seed: int, customers: int, days: int, home: Path) -> int:
    """
    Run the demo from the beginning; return 0 if nothing went wrong in it, else 1.
    """
    began = time.monotonic()
    if home.exists():
        shutil.rmtree(home)  # an interrupted run leaves nothing that a new one needs
    story, house = _set_up(seed, customers, home)
    until = START + timedelta(days=days)
    _say(f"{customers} customers, seed {seed}; the clock runs {days} days …")
    story.run(until, lambda moment: _progress(moment, days, began))
    _say("")
    figures = report.collect(house, story.people, seed=seed, days=days)
    violations = judge(
        home / "outside",
        policies=house.policies.by_product,
        ended=True,
        unreachable=[one.number for one in story.people if one.has(Trait.OPTED_OUT)],
    )
    figures = replace(
        figures,
        judged=[f"{one.invariant}: {one.what}" for one in violations],
        seconds=round(time.monotonic() - began, 1),
    )
    report.write(figures, home)
    report.show(figures, home)
    return 0 if not figures.judged and not any(figures.check.values()) else 1


def _set_up(seed: int, customers: int, home: Path) -> tuple[Story, House]:
    settings = Settings(home=home, synchronous=Synchronous.NORMAL)
    _seeded_codes(home, seed)
    clock = VirtualClock(START - timedelta(hours=1))
    keys = read_keys(settings)
    _say("the sample bank is opened …")
    people = [make_person(number, seed, START) for number in range(1, customers + 1)]
    empty = frozenset(one.account for one in people if one.has(Trait.EMPTY_ACCOUNT))
    ca = open_ca(home, clock, keys)
    cards = OutsideLedger(home / "outside" / "cards.jsonl", clock)
    saw = OutsideLedger(home / "outside" / "customers.jsonl", clock)
    outside = open_outside(home, clock, ca, Faults(seed), empty)
    house = build(settings, clock=clock, outside=replace(outside, ca=ca))
    open_bank(house, people, cards)
    house = replace(house, outside=outside)
    clock.advance_to(START)
    view = CaView(Tail(home / "outside" / "ca.jsonl"))
    story = Story(OneProcess(house, clock, cards), people, cards, saw, view)
    return story, house


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
