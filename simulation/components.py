"""The components of the demo, each in a process that may be killed at any time."""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass, replace
from datetime import timedelta
from multiprocessing import connection, parent_process
from typing import TYPE_CHECKING, Any, Protocol

from renewal.eventlog.port import LogUnavailableError
from renewal.gateways.activity_log import ActivityLog
from scheduler.timetable import EVERY, Timetable
from simulation.counter import OwnCounter
from simulation.outside import Faults, open_ca, open_outside
from simulation.shared_clock import Bell, SharedClock
from xuqi.bootstrap import bootstrap
from xuqi.key_files import read_keys
from xuqi.serving import json_logging
from xuqi.serving.process import serve

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from xuqi.bootstrap import App
    from xuqi.settings import Settings

log = logging.getLogger(__name__)

#: How often a scheduler listens for the bell, and a station for the story; of real time.
LISTENS = timedelta(milliseconds=80)
ATTENDS = timedelta(milliseconds=20)


@dataclass(frozen=True, kw_only=True)
class DemoSettings:
    """What every component must know of the demo."""

    settings: Settings
    seed: int
    empty: frozenset[str]  #: accounts with nothing on them


class ComponentMain(Protocol):
    def __call__(self, member: str, demo: DemoSettings, story: connection.Connection) -> None:
        """Run this component until the process ends."""
        ...


def clock_of(home: Path) -> SharedClock:
    return SharedClock(home / "clock")


def bell_of(home: Path) -> Bell:
    return Bell(home / "bell", EVERY)


def begin(
    component: ComponentMain, member: str, demo: DemoSettings, story: connection.Connection
) -> None:
    """The first thing in the process. It ends with the story's own."""
    home = demo.settings.home
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
    component(member, replace(demo, settings=replace(demo.settings, member=member)), story)


@dataclass(frozen=True)
class ServeComponents:
    """Components as `xuqi serve --only` has them, with the demo's clock and outside systems."""

    components: frozenset[str]

    def __call__(self, member: str, demo: DemoSettings, story: connection.Connection) -> None:
        del member, story
        settings = demo.settings
        clock, keys = clock_of(settings.home), read_keys(settings)
        faults = Faults(demo.seed + os.getpid())
        ca = open_ca(settings.home, clock, keys)
        outside = open_outside(settings.home, clock, ca, faults, demo.empty)
        app = bootstrap(settings, clock=clock, outside=outside)
        os._exit(serve(app, self.components, rung))


def rung(app: App) -> Timetable:
    return _Rung(
        store=app.store,
        policies=app.policies,
        sms=app.gateways.sms,
        every=dict.fromkeys(EVERY, LISTENS),
        bell=bell_of(app.settings.home),
    )


@dataclass(kw_only=True)
class _Rung(Timetable):
    """Looks when the bell has rung, instead of every few minutes; whoever of several leads."""

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
class AttendStation:
    """
    A branch's station: the log and its journal, and nothing of the central database.

    The story asks ``(name, arguments)`` of its counter; the answer is ``("done", result)``, after
    any number of ``("type", (token, tries left))``.
    """

    branch: str

    def __call__(self, member: str, demo: DemoSettings, story: connection.Connection) -> None:
        from renewal.eventlog.kafka import KafkaLog  # noqa: PLC0415 - only where there is Kafka
        from xuqi.event_log import connection as reached  # noqa: PLC0415 - as above

        json_logging.write_to_stderr()
        settings = demo.settings
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
            cards=ActivityLog(home / "outside" / "cards.jsonl", clock),
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
