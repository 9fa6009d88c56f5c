"""The bank of the demo on Kafka and PostgreSQL, each component in its own processes."""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from consumers.registry import CONSUMERS
from producers.relay import CODES, OTHERS
from renewal.errors import XuqiError
from renewal.eventlog.kafka import Backlog
from renewal.eventlog.port import LogUnavailableError
from renewal.store import counts, metrics
from schema.events import Topic
from simulation.components import AttendStation, ServeComponents, bell_of
from simulation.nemesis import Member, Members
from xuqi.event_log import connection
from xuqi.serving.components import RELAY, SCHEDULER, WEB

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from simulation.bank import Counter, MovedClock, Pulled, TypePin
    from simulation.components import ComponentMain, DemoSettings
    from token_station.reader_views import ReaderView
    from xuqi.bootstrap import App

BRANCHES = ("001", "002")
#: Of PostgreSQL: some for each process, and for the next one that takes a killed one's place.
CONNECTIONS = 300
#: The clock stands while the bank works. If that takes longer than this, of real time, it creeps:
#: a killed scheduler's lease, for one, has to run out.
STANDS_FOR, CREEPS = 1.0, timedelta(seconds=10)
#: Seconds. A rebalance may last as long as a member may take from one poll to the next: 300 s.
GIVES_UP_AFTER = 360.0
LAST_LINES = 20  #: of the log of each process that did not come to rest
FIRST_LOOK, LONGEST_LOOK = 0.005, 0.08  #: seconds between two looks


class StuckError(XuqiError):
    """The bank does not come to rest; the text says what is left to be done."""


def components() -> Mapping[str, ComponentMain]:
    """Every component by its member's name: two of each, one web, and each branch's station."""
    two = {
        f"{name}-{number}": ServeComponents(frozenset({name}))
        for name in (*CONSUMERS, RELAY, SCHEDULER)
        for number in (1, 2)
    }
    stations = {f"station-{branch}": AttendStation(branch) for branch in BRANCHES}
    return {**two, WEB: ServeComponents(frozenset({WEB})), **stations}


@dataclass
class ManyProcesses:
    """The story and the centre are in this process; everything else is in others."""

    app: App
    clock: MovedClock
    demo: DemoSettings
    members: Members = field(init=False)
    _seen: int = 0  #: the newest event of the last look
    next_due: datetime | None = None
    _changes: int = -1  #: of this process's store, when all was at rest

    def __post_init__(self) -> None:
        found = {
            name: Member(name, component, self.demo) for name, component in components().items()
        }
        self.members = Members(found, self.demo.seed)
        self._backlog = Backlog(connection(self.demo.settings))
        self._bell = bell_of(self.app.settings.home)
        self._groups = {it.group: it.topics for it in self.app.consumers()} | {
            f"station.{branch}": {f"{Topic.STATIONS.value}.{branch}"} for branch in BRANCHES
        }

    @contextmanager
    def open(self) -> Iterator[None]:
        """Start every process, and end them again."""
        (self.app.settings.home / "logs").mkdir()
        with self.members.running(), closing(self._backlog):
            yield

    def tick(self) -> None:
        self._changes = -1
        self._bell.ring()
        self._until(self._unanswered)

    def work(self) -> None:
        """Once at rest, only this process and the clock make work for the others."""
        changes = self.app.store.changes
        over = self.next_due is not None and self.next_due <= self.clock.now()
        if over or changes != self._changes:
            self._until(self._left)
            self._changes = changes

    def counter(self, branch: str, type_pin: TypePin) -> Counter:
        return _FarCounter(self, self.members.members[f"station-{branch}"], type_pin)

    def heard(self) -> None:
        """A station has said something, perhaps."""
        self._changes = -1

    def _until(self, left: Callable[[], Mapping[str, str]]) -> None:
        """Wait until nothing is left for any component."""
        began = time.monotonic()
        pause, creeps_at = FIRST_LOOK, began + STANDS_FOR
        while found := left():
            self.members.busy = frozenset(
                name for name in self.members.members if name.rpartition("-")[0] in found
            )
            now = time.monotonic()
            if now > began + GIVES_UP_AFTER:
                demo = ", ".join(f"{component}: {what}" for component, what in found.items())
                raise StuckError(
                    f"after {GIVES_UP_AFTER:.0f} s there is left for {demo}\n{self._logs(found)}"
                )
            if now > creeps_at:
                self.clock.advance_to(self.clock.now() + CREEPS)
                creeps_at = now + STANDS_FOR
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_LOOK)
        self.members.busy = frozenset()

    def _logs(self, components: Collection[str]) -> str:
        """The last lines of the logs of those who have something left to do."""
        logs = self.app.settings.home / "logs"
        files = [
            file for component in components for file in sorted(logs.glob(f"{component}-?.log"))
        ]
        return "\n".join(
            f"{file.name}: {line}"
            for file in files
            for line in file.read_text(encoding="utf-8").splitlines()[-LAST_LINES:]
        )

    def _unanswered(self) -> Mapping[str, str]:
        jobs = self._bell.unanswered()
        return {SCHEDULER: f"the jobs {', '.join(jobs)}"} if jobs else {}

    def _left(self) -> Mapping[str, str]:
        """
        What each component has to do now. Work in progress is not committed yet, so it is counted.
        """
        newest, found = self._in_store()
        if found:
            return found
        try:
            behind = self._backlog.of(self._groups)
        except LogUnavailableError as error:
            return {"the broker": str(error)}
        if any(behind.values()):
            return {group: f"{count} events" for group, count in behind.items() if count}
        again, found = self._in_store()
        return found or ({} if again == newest else {RELAY: "news"})

    def _in_store(self) -> tuple[int, Mapping[str, str]]:
        """The newest event, what waits for a relay, and who has waited long enough."""
        codes = [Topic.CODES.value]
        with self.app.store.snapshot() as look:
            news = counts.news(look, self._seen)
            waiting = sum(
                metrics.not_relayed(look, lane, codes, others=lane == OTHERS)
                for lane in (CODES, OTHERS)
            )
        self._seen, self.next_due = news.newest, news.next_due
        found = {RELAY: f"{waiting} events"} if waiting else {}
        return news.newest, {**found, **dict.fromkeys(news.due, "what is due")}


class _FarCounter:
    """
    A station in another process. Whatever lay in its readers lies there still when it was killed.
    """

    def __init__(self, bank: ManyProcesses, member: Member, type_pin: TypePin) -> None:
        self._bank = bank
        self._member = member
        self._type_pin = type_pin
        self._pipe: object = None
        self._cards: dict[int, Path] = {}

    def insert(self, reader: int, card: Path, pulled: Pulled | None = None) -> None:
        self._ask("insert", reader, card, pulled)
        self._cards[reader] = card

    def look(self) -> Sequence[ReaderView]:
        seen: Sequence[ReaderView] = self._ask("look")
        self._bank.heard()
        return seen

    def pull(self, reader: int) -> bool:
        there: bool = self._ask("pull", reader)
        self._cards.pop(reader, None)
        return there

    def _ask(self, name: str, *arguments: object) -> Any:  # noqa: ANN401 - whatever the counter says
        until = time.monotonic() + GIVES_UP_AFTER
        while time.monotonic() < until:
            pipe = self._member.pipe
            try:
                with self._bank.members.at_work(self._member.name):
                    if pipe is not self._pipe:
                        for reader, card in self._cards.items():
                            self._exchange(pipe, "insert", reader, card)
                        self._pipe = pipe
                    return self._exchange(pipe, name, *arguments)
            except (EOFError, OSError):
                time.sleep(FIRST_LOOK)  # it was killed, and is being started
        raise StuckError(f"{self._member.name} does not come back")

    def _exchange(self, pipe: Any, name: str, *arguments: object) -> Any:  # noqa: ANN401 - as above
        pipe.send((name, arguments))
        while True:
            what, answer = pipe.recv()
            if what == "done":
                return answer
            pipe.send(self._type_pin(*answer))
