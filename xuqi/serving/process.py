"""Starts everything, says when it is ready, and stops it with what is in hand settled."""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from renewal.delivery import Hands
from renewal.errors import XuqiError
from xuqi.logs import check_topics, is_kafka, open_backlog, open_relays
from xuqi.places import Place, StationPlace, TakenError
from xuqi.serving import logbook, web
from xuqi.serving.loops import attending, consuming, relaying
from xuqi.serving.metrics import Meters, Monitor, Process
from xuqi.serving.record import record_of
from xuqi.serving.rooms import RELAY, ROOMS, SCHEDULER, STATION, WAITED_FOR, WEB
from xuqi.settings import SettingsError, other_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from scheduler.timetable import Timetable
    from xuqi.house import House
    from xuqi.serving.loops import Loop

log = logging.getLogger(__name__)

LOOK_EVERY = 0.5  #: seconds
#: By how much nice(2) lowers the priority of those who work in bulk: to about a tenth of a core
#: that others want whole.
GIVES_WAY = 10
STOPS_WITHIN = 8.0  #: seconds that a call in hand has for its end
#: The local mailbox knows at once what became of a message.
LOCAL_ASK_AFTER = timedelta(minutes=1)


def timetable_of(house: House) -> Timetable:
    from scheduler.reports import ASK_AFTER  # noqa: PLC0415 - no other room needs the scheduler's
    from scheduler.timetable import Timetable  # noqa: PLC0415

    local = house.settings.sms_url.startswith("local:")
    return Timetable(
        store=house.store,
        policies=house.policies,
        sms=house.outside.sms,
        ask_after=LOCAL_ASK_AFTER if local else ASK_AFTER,
    )


@dataclass
class Serving:
    """
    One process with some of the rooms. ``run`` returns when it was told to stop.
    """

    house: House
    rooms: Collection[str] = ROOMS
    timetable: Callable[[House], Timetable] = timetable_of
    stop: threading.Event = field(default_factory=threading.Event)
    loops: list[Loop] = field(default_factory=list)
    _told: str = ""
    _unwritten: int | None = None  # why not, as errno
    _meters: Meters = field(default_factory=Meters)

    def __post_init__(self) -> None:
        self._unmetered = self.house.outside
        self.house = replace(self.house, outside=self._meters.metered(self.house.outside))

    def check(self) -> None:
        """
        Look at the topics, and at the rooms: one that would have nothing to do is a mistake where
        it was asked for by name.

        Raises:
            XuqiError: so it cannot be served; the text says why.
        """
        check_topics(self.house.settings)
        asked = set() if set(self.rooms) == set(ROOMS) else set(self.rooms)
        if RELAY in asked and not is_kafka(self.house.settings):
            raise SettingsError("--only relay: the log is embedded, and needs none: XUQI_LOG_URL")
        if STATION in asked and not self._has_readers():
            raise SettingsError(
                f"--only station: there is no reader under {self.house.settings.home}/cards"
            )

    def run(self) -> int:
        """
        Return 0 when all was settled, 1 when something had to be left for the next start.

        Raises:
            XuqiError: it cannot begin; the text says why.
        """
        with only_one(self.house), self._listening() as addresses:
            with self._consuming():
                crashed = self._served(addresses)
            settled = not any(loop.thread.is_alive() for loop in self.loops)
            self._record(stopped=True)
        return 0 if settled and not crashed else 1

    def _served(self, addresses: Sequence[str]) -> bool:
        timetable = self.timetable(self.house) if SCHEDULER in self.rooms else None
        if timetable is not None:
            timetable.start()
        self._ready(addresses)
        try:
            return self._until_told()
        finally:
            self.stop.set()
            self.house.store.wake()
            if timetable is not None:
                timetable.stop()

    def _has_readers(self) -> bool:
        from xuqi.readers import card_files  # noqa: PLC0415 - no other room knows the card's protocol

        return bool(card_files(self.house.settings.home))

    @contextlib.contextmanager
    def _consuming(self) -> Iterator[None]:
        house, every, deliveries = self.house, [], []
        for consumer in house.consumers(self.rooms):
            hands = None
            if hasattr(consumer, "carry_out"):
                hands = Hands(house.settings.workers, consumer.group)
                every.append(hands)
            deliveries.append(house.delivery(consumer, hands=hands))
        self.loops += [consuming(delivery, self.stop) for delivery in deliveries]
        if RELAY in self.rooms:
            relays = open_relays(house.settings, house.store, house.log)
            self.loops += [relaying(relay, self.stop) for relay in relays]
        if STATION in self.rooms and self._has_readers():
            place = StationPlace(house.settings.home, house.settings.branch)
            self.loops.append(attending(house, place, self.stop))
        for loop in self.loops:
            loop.thread.start()
        try:
            yield
        finally:
            until = time.monotonic() + STOPS_WITHIN
            for loop in self.loops:
                loop.thread.join(max(0.0, until - time.monotonic()))
            for hands in every:
                hands.let_go()
            for delivery in deliveries:
                delivery.reader.close()

    @contextlib.contextmanager
    def _listening(self) -> Iterator[Sequence[str]]:
        """
        Yield each address that it listens on, in words.
        """
        settings, found = self.house.settings, []
        with contextlib.ExitStack() as listening:
            if WEB in self.rooms:
                port = listening.enter_context(
                    web.listening(self._site(), settings.host, settings.port)
                )
                found.append(f"http://{settings.host}:{port}")
            if settings.metrics_port:
                site, named = self._monitor(), "XUQI_METRICS_PORT"
                port = listening.enter_context(
                    web.listening(site, settings.host, settings.metrics_port, setting=named)
                )
                found.append(f"metrics http://{settings.host}:{port}/metrics")
            yield found

    def _monitor(self) -> Monitor:
        """
        Every process tells of itself; of the whole house, those that have the schedule.
        """
        house = self.house
        of: list[object] = [Process(home=house.settings.home, store=house.store, loops=self.loops)]
        if SCHEDULER in self.rooms:
            from xuqi.serving.figures import Figures  # noqa: PLC0415 - with what the scheduler needs

            of.append(Figures(house.store, house.policies, open_backlog(house.settings)))
        return Monitor(meters=self._meters, troubles=self.troubles, collectors=of)

    def _site(self) -> web.Site:
        from renewal.gateways.ca.embedded import EmbeddedCa  # noqa: PLC0415 - only where it is served

        house, ca = self.house, self._unmetered.ca  # what anybody may fetch is no call of ours
        return web.Site(
            store=house.store,
            public=house.settings.public,
            ca=ca if isinstance(ca, EmbeddedCa) else None,
            token=other_secret(house.settings, "twilio")
            if house.settings.sms_url.startswith("twilio:")
            else None,
            troubles=self.troubles,
        )

    def troubles(self) -> list[str]:
        """
        What keeps this process from being ready.
        """
        if self.stop.is_set():
            return ["stopping"]
        found = [f"{loop.name}: {loop.trouble}" for loop in self.loops if loop.trouble]
        try:
            with self.house.store.look():
                pass
        except XuqiError as error:
            found.append(str(error))
        return found

    def _ready(self, addresses: Sequence[str]) -> None:
        self._record()
        names = [loop.name for loop in self.loops]
        if SCHEDULER in self.rooms:
            names.append(SCHEDULER)
        told = ", ".join(["xuqi: ready", *addresses, f"process {os.getpid()}"])
        print(f"{told}: {', '.join(names)}", flush=True)

    def _until_told(self) -> bool:
        """
        Return whether it ends because a loop has crashed.
        """
        while not self.stop.wait(LOOK_EVERY):
            crashed = [loop.name for loop in self.loops if loop.crashed]
            if crashed:
                log.critical("crashed, so that everything stops: %s", ", ".join(crashed))
                return True
            self._record()
        return False

    def _record(self, *, stopped: bool = False) -> None:
        loops = [
            {"name": loop.name, "given_up": loop.given_up, "trouble": loop.trouble}
            for loop in self.loops
        ]
        text = json.dumps({"process": os.getpid(), "stopped": stopped, "loops": loops})
        if text != self._told:
            settings = self.house.settings
            path = record_of(settings.home, self.rooms, settings.known_as)
            fresh = path.with_suffix(f".{os.getpid()}.new")
            try:
                fresh.write_text(text)
                fresh.replace(path)
            except OSError as error:  # `xuqi status` says less; what is at work goes on
                if self._unwritten != error.errno:
                    log.warning("%s cannot be written: %s", path, error.strerror)
                self._unwritten = error.errno
                return
            self._told, self._unwritten = text, None


@contextlib.contextmanager
def only_one(house: House) -> Iterator[None]:
    """
    SQLite has one writer, so one serving process; PostgreSQL takes many.

    Raises:
        TakenError
    """
    if not house.settings.store.startswith("sqlite"):
        yield
        return
    place = Place(house.settings.home / "serve.lock")
    if not place.take():
        raise TakenError(
            f"`xuqi serve` is running on {house.settings.home} already (process {place.holder()}): "
            "stop it first, or name another folder with --home"
        )
    try:
        yield
    finally:
        place.release()


def serve(
    house: House,
    rooms: Collection[str] = ROOMS,
    timetable: Callable[[House], Timetable] = timetable_of,
) -> int:
    """
    Serve these rooms until SIGTERM or SIGINT; a person's second SIGINT ends the process at once.
    """
    logbook.write_to_stderr()
    serving = Serving(house, rooms, timetable)
    serving.check()  # before signals and collector are set for a process that serves

    def told(number: int, _frame: object) -> None:
        if number == signal.SIGINT:
            signal.signal(number, signal.SIG_DFL)
        serving.stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)
    give_way(rooms)
    collect_seldom()
    code = serving.run()
    house.store.close()
    print("xuqi: stopped", flush=True)
    if any(loop.thread.is_alive() for loop in serving.loops):
        log.error("a call outside did not end in time: it is found out at the next start")
        logging.shutdown()
        sys.stdout.flush()
        os._exit(code)  # the threads of that call would keep the process
    return code


def give_way(rooms: Collection[str]) -> None:
    """
    Let others go first where cores are short, if nobody waits for what these rooms do: a code is
    not late because of a bulk run.
    """
    if WAITED_FOR.isdisjoint(rooms):
        os.nice(GIVES_WAY)


def collect_seldom() -> None:
    """
    A batch makes ten thousands of objects, and hardly any in a ring: looking for rings after every
    700 of them, through all that has been imported, would cost a consumer a tenth of its time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
