"""The loops that a serving process runs, each in a thread of its own."""

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
    from renewal.delivery import Delivery
    from token_station.journal import Entry
    from token_station.station import Station
    from xuqi.house import House
    from xuqi.places import StationPlace

log = logging.getLogger(__name__)

WAIT = timedelta(seconds=1)
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0  #: seconds
REST = 0.05  #: seconds between two pages that are not full


@dataclass
class Loop:
    """
    Turns until it is told to stop. An error of ours makes it pause, longer each time.
    """

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
        """
        Whether it has ended by an error that nobody has foreseen.
        """
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


def consuming(delivery: Delivery, stop: threading.Event) -> Loop:
    return Loop(delivery.consumer.group, lambda: delivery.run_once(WAIT), stop)


def relaying(relay: Relay, stop: threading.Event) -> Loop:
    """
    The outbox to Kafka; a commit wakes it. Codes go at once; what else is told within ``REST`` goes
    together, and is handled together by each consumer.
    """

    def turn() -> None:
        seen = relay.store.changes
        found = relay.run_once()
        if stop.is_set():
            return
        if not found:
            relay.store.wait_for_change(seen, relay.store.look_again)
        elif found < relay.page and relay.lane != CODES:
            stop.wait(REST)

    return Loop(relay.lane, turn, stop)


class Nobody:
    """
    No PIN is typed in a service.
    """

    def pin(self, _job: Entry, _tries_left: int | None) -> None:
        return None

    def releases_last_try(self, _job: Entry) -> bool:
        return False


def attending(house: House, place: StationPlace, stop: threading.Event) -> Loop:
    """
    The branch's station without a person: it takes its jobs, and says what is left to say.
    """

    def turn() -> None:
        if not place.take_for_service():
            stop.wait(WAIT.total_seconds())
            return
        try:
            _attend(house, place, stop)
        finally:
            place.release()

    return Loop(f"station {house.settings.branch}", turn, stop)


def _attend(house: House, place: StationPlace, stop: threading.Event) -> None:
    from xuqi.readers import card_files, opened_station  # noqa: PLC0415 - of no other room

    cards = card_files(house.settings.home)
    with opened_station(house.settings, house.keys, house.clock, house.log, Nobody()) as station:
        while not stop.is_set() and not place.wanted():
            if card_files(house.settings.home) != cards:
                return  # to come back with all of them
            _attend_once(station)
            stop.wait(WAIT.total_seconds())


def _attend_once(station: Station) -> None:
    while station.take():
        pass
    if station.journal.open_jobs():
        station.work()
