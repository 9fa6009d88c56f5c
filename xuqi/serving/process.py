"""Starts everything, says when it is ready, and stops it with what is in hand settled."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from renewal.errors import XuqiError
from renewal.gateways.ca.embedded import EmbeddedCa
from scheduler.reports import ASK_AFTER
from scheduler.timetable import Timetable
from xuqi.logs import check_topics, open_relays
from xuqi.places import Place, StationPlace, TakenError
from xuqi.readers import card_files
from xuqi.serving import web
from xuqi.serving.loops import attending, consuming, relaying
from xuqi.serving.record import record_of
from xuqi.settings import other_secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xuqi.house import House
    from xuqi.serving.loops import Loop

log = logging.getLogger(__name__)

LOOK_EVERY = 0.5  #: seconds
STOPS_WITHIN = 8.0  #: seconds that a call in hand has for its end
#: The local mailbox knows at once what became of a message.
LOCAL_ASK_AFTER = timedelta(minutes=1)


@dataclass
class Serving:
    """
    One process. ``run`` returns when it was told to stop.
    """

    house: House
    stop: threading.Event = field(default_factory=threading.Event)
    loops: list[Loop] = field(default_factory=list)
    _told: str = ""

    def run(self) -> int:
        """
        Return 0 when all was settled, 1 when something had to be left for the next start.

        Raises:
            XuqiError: it cannot begin; the text says why.
        """
        check_topics(self.house.settings)
        with only_one(self.house), self._listening() as port:
            timetable = self._timetable()
            with self._consuming():
                timetable.start()
                self._ready(port)
                try:
                    crashed = self._until_told()
                finally:
                    self.stop.set()
                    self.house.store.wake()
                    timetable.stop()
            settled = not any(loop.thread.is_alive() for loop in self.loops)
            self._record(stopped=True)
        return 0 if settled and not crashed else 1

    def _timetable(self) -> Timetable:
        house = self.house
        local = house.settings.sms_url.startswith("local:")
        return Timetable(
            store=house.store,
            policies=house.policies,
            sms=house.outside.sms,
            ask_after=LOCAL_ASK_AFTER if local else ASK_AFTER,
        )

    @contextlib.contextmanager
    def _consuming(self) -> Iterator[None]:
        house, pools, deliveries = self.house, [], []
        for consumer in house.consumers():
            pool = None
            if hasattr(consumer, "carry_out"):
                pool = ThreadPoolExecutor(house.settings.workers, thread_name_prefix=consumer.group)
                pools.append(pool)
            deliveries.append(house.delivery(consumer, pool=pool))
        self.loops += [consuming(delivery, self.stop) for delivery in deliveries]
        relays = open_relays(house.settings, house.store, house.log)
        self.loops += [relaying(relay, self.stop) for relay in relays]
        if card_files(house.settings.home):
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
            for pool in pools:
                pool.shutdown(wait=False, cancel_futures=True)
            for delivery in deliveries:
                delivery.reader.close()

    @contextlib.contextmanager
    def _listening(self) -> Iterator[int]:
        house = self.house
        site = web.Site(
            store=house.store,
            public=house.settings.public,
            ca=house.outside.ca if isinstance(house.outside.ca, EmbeddedCa) else None,
            token=other_secret(house.settings, "twilio")
            if house.settings.sms_url.startswith("twilio:")
            else None,
            troubles=self.troubles,
        )
        server = web.server(site, house.settings.host, house.settings.port)
        thread = threading.Thread(
            target=server.serve_forever, args=(0.1,), name="http", daemon=True
        )
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

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

    def _ready(self, port: int) -> None:
        self._record()
        names = ", ".join(loop.name for loop in self.loops)
        host = self.house.settings.host
        print(f"xuqi: ready, http://{host}:{port}, process {os.getpid()}: {names}", flush=True)

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
            path = record_of(self.house.settings.home)
            fresh = path.with_suffix(".new")
            fresh.write_text(text)
            fresh.replace(path)
            self._told = text


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


class _OneLine(logging.Formatter):
    """
    A fact and its keys on one line.
    """

    _usual = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}

    def format(self, record: logging.LogRecord) -> str:
        keys = {name: it for name, it in record.__dict__.items() if name not in self._usual}
        told = "".join(f" {name}={it}" for name, it in keys.items())
        return super().format(record) + told


def log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def serve(house: House) -> int:
    """
    Serve until SIGTERM or SIGINT; a second SIGINT, a person's, ends the process at once.
    """
    log_to_stderr()
    serving = Serving(house)

    def told(number: int, _frame: object) -> None:
        if number == signal.SIGINT:
            signal.signal(number, signal.SIG_DFL)
        serving.stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)
    code = serving.run()
    house.store.close()
    print("xuqi: stopped", flush=True)
    if any(loop.thread.is_alive() for loop in serving.loops):
        log.error("a call outside did not end in time: it is found out at the next start")
        logging.shutdown()
        sys.stdout.flush()
        os._exit(code)  # the threads of that call would keep the process
    return code
