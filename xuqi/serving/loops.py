"""The loops of a serving process, each in a thread of its own."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from producers.relay import CODES
from renewal.delivery import TooManyFailuresError
from renewal.errors import XuqiError

if TYPE_CHECKING:
    from collections.abc import Callable

    from producers.relay import Relay
    from renewal.clock_guard import ClockGuard
    from renewal.delivery import ConsumerRunner
    from token_station.journal import JournalEntry
    from token_station.station import Station
    from xuqi.bootstrap import App
    from xuqi.process_lock import StationLock

log = logging.getLogger(__name__)

WAIT = timedelta(seconds=1)
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0  #: seconds
REST = 0.05  #: seconds between two pages that are not full


@dataclass
class Loop:
    """Runs until it is stopped; an error of ours makes it pause, longer each time."""

    name: str
    turn: Callable[[], object]
    stop: threading.Event
    trouble: str = ""  #: of the last turn
    given_up: bool = False  #: by its own decision; everything else goes on
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    @property
    def crashed(self) -> bool:
        """Whether it ended by an unforeseen error."""
        started = self.thread.ident is not None
        return started and not (self.thread.is_alive() or self.given_up or self.stop.is_set())

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self.stop.is_set():
            try:
                self.turn()
            except TooManyFailuresError as error:
                self.trouble, self.given_up = f"stopped: {error}", True
                log.critical("%s: %s", self.name, self.trouble)
                return
            except XuqiError as error:
                self.trouble = str(error)
                log.error("%s: %s", self.name, error)  # noqa: TRY400 - an error of ours says enough
                self.stop.wait(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                self.trouble, pause = "", FIRST_PAUSE


#: A code lives for a minute whatever the hour is, and its customer waits: it goes on.
BY_NO_CLOCK = frozenset({"otp"})


def consuming(delivery: ConsumerRunner, stop: threading.Event, guard: ClockGuard) -> Loop:
    def turn() -> None:
        if delivery.consumer.group not in BY_NO_CLOCK:
            guard.check()
        delivery.run_once(WAIT)

    return Loop(delivery.consumer.group, turn, stop)


def relaying(relay: Relay, stop: threading.Event) -> Loop:
    """
    The outbox to Kafka; a commit wakes it. Codes go at once; other events of one ``REST`` are
    published, and then handled, together.
    """

    def turn() -> None:
        seen = relay.store.changes
        found = relay.run_once()
        if stop.is_set():
            return
        if not found:
            relay.store.wait_for_change(seen, relay.store.poll_interval)
        elif found < relay.page and relay.lane != CODES:
            stop.wait(REST)

    return Loop(relay.lane, turn, stop)


class AbsentOperator:
    """A service types no PIN."""

    def pin(self, _job: JournalEntry, _tries_left: int | None) -> None:
        return None

    def releases_last_try(self, _job: JournalEntry) -> bool:
        return False


def attending(app: App, lock: StationLock, stop: threading.Event) -> Loop:
    """The branch's station without a person: it takes its jobs and publishes pending reports."""

    def turn() -> None:
        if not lock.take_for_service():
            stop.wait(WAIT.total_seconds())
            return
        try:
            _attend(app, lock, stop)
        finally:
            lock.release()

    return Loop(f"station {app.settings.branch}", turn, stop)


#: Seconds between two looks at real tokens, which other programs use too.
WAIT_FOR_TOKEN = 2.0


def _attend(app: App, lock: StationLock, stop: threading.Event) -> None:
    from xuqi.simulated_readers import card_files, opened_station  # noqa: PLC0415 - of no other component

    cards = card_files(app.settings.home)
    simulated = app.settings.readers == "simulated"
    pause = WAIT.total_seconds() if simulated else WAIT_FOR_TOKEN
    with opened_station(
        app.settings, app.keys, app.clock, app.log, AbsentOperator(), store=app.store
    ) as station:
        while not stop.is_set() and not lock.wanted():
            if card_files(app.settings.home) != cards:
                return  # to come back with all of them
            _attend_once(station)
            stop.wait(pause)


def _attend_once(station: Station) -> None:
    while station.take():
        pass
    if station.journal.open_jobs():
        station.work()
