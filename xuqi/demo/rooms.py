"""The rooms of the demo's bank, each in a process that may be killed at any time."""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass, replace
from datetime import timedelta
from multiprocessing import connection, parent_process
from typing import TYPE_CHECKING, Any, Protocol

from renewal.eventlog.port import LogUnavailableError
from renewal.gateways.ledger import OutsideLedger
from scheduler.timetable import EVERY, Timetable
from xuqi.demo.counter import OwnCounter
from xuqi.demo.outside import Faults, open_ca, open_outside
from xuqi.demo.shared_clock import Bell, SharedClock
from xuqi.house import build
from xuqi.serving import logbook
from xuqi.serving.process import serve
from xuqi.settings import read_keys

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from xuqi.house import House
    from xuqi.settings import Settings

log = logging.getLogger(__name__)

#: How often a scheduler listens for the bell, and a station for the story; of real time.
LISTENS = timedelta(milliseconds=80)
ATTENDS = timedelta(milliseconds=20)


@dataclass(frozen=True, kw_only=True)
class Told:
    """
    What every room must know of the demo.
    """

    settings: Settings
    seed: int
    empty: frozenset[str]  #: accounts with nothing on them


class Room(Protocol):
    def __call__(self, member: str, told: Told, story: connection.Connection) -> None:
        """
        Be this room until the process ends.
        """
        ...


def clock_of(home: Path) -> SharedClock:
    return SharedClock(home / "clock")


def bell_of(home: Path) -> Bell:
    return Bell(home / "bell", EVERY)


def begin(room: Room, member: str, told: Told, story: connection.Connection) -> None:
    """
    The first thing in the process. It ends with the story's own.
    """
    home = told.settings.home
    with (home / "logs" / f"{member}.log").open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    parent = parent_process()
    if parent is not None:
        sentinel = parent.sentinel

        def end_with_it() -> None:
            connection.wait([sentinel])
            os._exit(1)

        threading.Thread(target=end_with_it, daemon=True).start()
    room(member, replace(told, settings=replace(told.settings, member=member)), story)


@dataclass(frozen=True)
class Serves:
    """
    Rooms as `xuqi serve --only` has them, with the demo's clock and the demo's world outside.
    """

    rooms: frozenset[str]

    def __call__(self, member: str, told: Told, story: connection.Connection) -> None:
        del member, story
        settings = told.settings
        clock, keys = clock_of(settings.home), read_keys(settings)
        faults = Faults(told.seed + os.getpid())
        ca = open_ca(settings.home, clock, keys)
        outside = open_outside(settings.home, clock, ca, faults, told.empty)
        house = build(settings, clock=clock, outside=outside)
        os._exit(serve(house, self.rooms, rung))


def rung(house: House) -> Timetable:
    return _Rung(
        store=house.store,
        policies=house.policies,
        sms=house.outside.sms,
        every=dict.fromkeys(EVERY, LISTENS),
        bell=bell_of(house.settings.home),
    )


@dataclass(kw_only=True)
class _Rung(Timetable):
    """
    Looks when the bell has rung, instead of every few minutes; whoever of several leads.
    """

    bell: Bell

    def run(self, name: str) -> object:
        if name not in self.bell.unanswered():
            return None
        rung = self.bell.rung
        done = super().run(name)
        if done is not None:
            self.bell.answer(name, rung)
        return done


@dataclass(frozen=True)
class Attends:
    """
    A branch's station: the log and its journal, and nothing of the central database.

    The story asks ``(name, arguments)`` of its counter; the answer is ``("done", result)``, after
    any number of ``("type", (token, tries left))``.
    """

    branch: str

    def __call__(self, member: str, told: Told, story: connection.Connection) -> None:
        from renewal.eventlog.kafka import KafkaLog  # noqa: PLC0415 - only where there is Kafka
        from xuqi.logs import connection as reached  # noqa: PLC0415

        logbook.write_to_stderr()
        settings = told.settings
        home, clock, keys = settings.home, clock_of(settings.home), read_keys(settings)

        def type_pin(token: str, tries_left: int | None) -> str | None:
            story.send(("type", (token, tries_left)))
            typed: str | None = story.recv()
            return typed

        counter = OwnCounter(
            log=KafkaLog(reached(settings), clock=clock, member=member),
            clock=clock,
            keys=keys,
            home=home,
            branch=self.branch,
            cards=OutsideLedger(home / "outside" / "cards.jsonl", clock),
            type_pin=type_pin,
        )
        while True:
            if story.poll():
                name, arguments = story.recv()
                story.send(("done", _DOES[name](counter, *arguments)))
            try:
                counter.station.take(ATTENDS)
            except LogUnavailableError as error:
                log.warning("%s", error)


_DOES: Mapping[str, Any] = {
    "insert": OwnCounter.insert,
    "look": OwnCounter.look,
    "pull": OwnCounter.pull,
}
