"""Keeps the demo's processes running, and kills one now and then."""

from __future__ import annotations

import logging
import multiprocessing
import random
import signal
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simulation import components

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkServerProcess

    from simulation.components import ComponentMain, DemoSettings

log = logging.getLogger(__name__)

#: A new process is forked from one that has read all modules, and opened nothing.
_FORKS = multiprocessing.get_context("forkserver")
_PRELOADED = ["simulation.components", "renewal.eventlog.kafka", "psycopg"]
LOOK_EVERY = 0.05  #: seconds
STOPS_WITHIN = 20.0  #: seconds
#: Seconds from one kill to the next, at least and at most.
KILLS_EVERY = (0.3, 3.0)
#: How often one is killed that has something in hand, for how many seconds that is waited for, and
#: how long after it was given to it at most: a step takes some milliseconds.
AT_WORK, WAITS_FOR_WORK, IN_THE_MIDDLE, LOOK_CLOSELY = 0.8, 2.0, 0.04, 0.001


@dataclass
class Member:
    """One process after another, each with the same name and a pipe of its own."""

    name: str
    component: ComponentMain
    demo: DemoSettings
    process: ForkServerProcess | None = None
    pipe: Connection | None = None

    def start(self) -> None:
        ours, theirs = _FORKS.Pipe()
        process = _FORKS.Process(
            target=components.begin,
            args=(self.component, self.name, self.demo, theirs),
            name=self.name,
            daemon=True,
        )
        process.start()
        theirs.close()
        before, self.pipe = self.pipe, ours
        self.process = process
        if before is not None:
            before.close()


@dataclass
class Members:
    """Whoever is killed is started anew at once. One that ends by itself is a fault of ours."""

    members: Mapping[str, Member]
    seed: int
    kills: Counter[str] = field(default_factory=Counter)  #: by the member's name
    ended: list[str] = field(default_factory=list)  #: who ended by itself, and how
    busy: frozenset[str] = frozenset()  #: who has something in hand now, as far as is known
    _stop: threading.Event = field(default_factory=threading.Event)
    _one: threading.RLock = field(default_factory=threading.RLock)

    @contextmanager
    def running(self) -> Iterator[None]:
        _FORKS.set_forkserver_preload(_PRELOADED)
        watcher = threading.Thread(target=self._watch, name="members")
        for member in self.members.values():
            member.start()
        watcher.start()
        try:
            yield
        finally:
            self._stop.set()
            watcher.join()
            self._end()

    @contextmanager
    def killing(self) -> Iterator[None]:
        """Kill one of them at random now and then, with SIGKILL; most often one that is at work."""
        over = threading.Event()
        chance = random.Random(f"kills {self.seed}")  # noqa: S311 - a story, no secret

        def kill() -> None:
            while not over.wait(chance.uniform(*KILLS_EVERY)):
                until = time.monotonic() + (WAITS_FOR_WORK if chance.random() < AT_WORK else 0.0)
                while not self._spared() and time.monotonic() < until and not over.is_set():
                    time.sleep(LOOK_CLOSELY)
                at_work = self._spared()
                over.wait(chance.random() * IN_THE_MIDDLE)
                self.kill(chance.choice(at_work or sorted(self.members)))

        killer = threading.Thread(target=kill, name="killer")
        killer.start()
        try:
            yield
        finally:
            over.set()
            killer.join()

    @contextmanager
    def at_work(self, name: str) -> Iterator[None]:
        self.busy = frozenset({name})
        try:
            yield
        finally:
            self.busy = frozenset()

    def _spared(self) -> list[str]:
        """Who is at work now, and was not killed much more often than others."""
        fewest = min(self.kills[name] for name in self.members)
        return sorted(name for name in self.busy if self.kills[name] <= fewest + 2)

    def kill(self, name: str) -> None:
        with self._one:
            process = self.members[name].process
            if process is not None and process.is_alive():
                process.kill()
                process.join()
                self.kills[name] += 1
                self.members[name].start()

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_EVERY):
            with self._one:
                for name, member in self.members.items():
                    if member.process is not None and not member.process.is_alive():
                        self.ended.append(f"{name}: exit code {member.process.exitcode}")
                        member.start()

    def _end(self) -> None:
        """Let each settle what it has in hand; a station has nothing but its journal."""
        processes = [it.process for it in self.members.values() if it.process is not None]
        for process in processes:
            process.terminate()
        until = time.monotonic() + STOPS_WITHIN
        for process in processes:
            process.join(max(0.0, until - time.monotonic()))
            if process.exitcode not in {0, -signal.SIGTERM}:
                self.ended.append(f"{process.name}: exit code {process.exitcode} at its end")
                process.kill()
                process.join()
