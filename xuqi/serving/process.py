"""Starts the components, reports readiness, and stops them in order."""

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
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from renewal.clock_guard import ClockGuard
from renewal.db import sessions
from renewal.delivery import WorkerPool
from renewal.errors import XuqiError
from renewal.store.certificates import products_in_force
from schema.reasons import SettingReason
from web.guard import LONGEST_BODY, LOOPBACK
from xuqi.bank import check_whose_messages
from xuqi.bootstrap import open_bounces
from xuqi.component_secrets import check_secrets
from xuqi.event_log import check_topics, is_kafka, open_backlog, open_relays
from xuqi.key_files import key_files
from xuqi.process_lock import LockTakenError, ProcessLock, StationLock
from xuqi.public_address import unreachable
from xuqi.serving import http, json_logging, public_site
from xuqi.serving.components import COMPONENTS, RELAY, SCHEDULER, STATION, URGENT_COMPONENTS, WEB
from xuqi.serving.loops import attending, consuming, relaying
from xuqi.serving.metrics import Meters, Monitor, ProcessCollector
from xuqi.serving.status_file import status_file
from xuqi.settings import SettingsError, other_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from scheduler.timetable import Timetable
    from xuqi.bootstrap import App
    from xuqi.serving.loops import Loop

log = logging.getLogger(__name__)

LOOK_EVERY = 0.5  #: seconds
#: By how much nice(2) lowers the priority of those who work in bulk: to about a tenth of a core
#: that others want whole.
NICENESS = 10
#: What makes certificates, or answers those who check them.
ISSUING = frozenset({"issuance", WEB})
STOPS_WITHIN = 8.0  #: seconds that a call in hand has for its end
#: The local mailbox knows at once what became of a message.
LOCAL_ASK_AFTER = timedelta(minutes=1)


def timetable_of(app: App) -> Timetable:
    from scheduler.bounces import BounceReader  # noqa: PLC0415 - no other component needs it
    from scheduler.delivery_receipts import ASK_AFTER  # noqa: PLC0415
    from scheduler.timetable import Timetable  # noqa: PLC0415

    local = app.settings.sms_url.startswith("local:")
    mailbox = open_bounces(app.settings, app.clock, app.keys)
    return Timetable(
        store=app.store,
        policies=app.policies,
        sms=app.gateways.sms,
        bounces=BounceReader(mailbox, app.keys.of_mail, app.clock) if mailbox else None,
        ask_after=LOCAL_ASK_AFTER if local else ASK_AFTER,
    )


@dataclass
class Serving:
    """One process with some components. ``run`` returns when it was told to stop."""

    app: App
    components: Collection[str] = COMPONENTS
    timetable: Callable[[App], Timetable] = timetable_of
    stop: threading.Event = field(default_factory=threading.Event)
    loops: list[Loop] = field(default_factory=list)
    _written: str = ""
    _advice: str | None = None
    _unwritten: int | None = None  # why not, as errno
    _meters: Meters = field(default_factory=Meters)

    def __post_init__(self) -> None:
        self._unmetered = self.app.gateways
        self.app = replace(self.app, gateways=self._meters.metered(self.app.gateways))

    def check(self) -> None:
        """
        Check the topics and the components: one that would have nothing to do is a mistake where it
        was named.

        Raises:
            XuqiError: it cannot be served; the text says why.
        """
        self._advice = check_whose_messages(self.app.settings, self.app.bank)
        check_secrets(self.components, self.app.settings, key_files(self.app.settings))
        self._check_sessions()
        self._check_products()
        check_topics(self.app.settings)
        asked = set() if set(self.components) == set(COMPONENTS) else set(self.components)
        if RELAY in asked and not is_kafka(self.app.settings):
            raise SettingsError("--only relay", SettingReason.NO_RELAY)
        if STATION in asked and not self._has_readers():
            folder = str(self.app.settings.home / "cards")
            raise SettingsError("--only station", SettingReason.NO_READER.why(folder=folder))

    def _check_sessions(self) -> None:
        """
        Raises:
            SettingsError: two processes would hold one lock, and none would hear of a commit.
        """
        settings = self.app.settings
        if settings.database_file is None and not sessions.are_kept(settings.store):
            raise SettingsError("XUQI_STORE_URL", SettingReason.POOLER)

    def _check_products(self) -> None:
        """
        Raises:
            SettingsError: certificates in force would lapse in silence.
        """
        if set(self.components) == {RELAY}:
            return  # it decides on no certificate, and its login sees none
        known = self.app.policies.by_product
        with self.app.store.snapshot() as look:
            missing = [name for name in products_in_force(look.connection) if name not in known]
        if missing:
            files = ", ".join(f"{name}.toml" for name in missing)
            raise SettingsError("XUQI_POLICIES", SettingReason.NO_POLICY.why(files=files))

    def run(self) -> int:
        """
        Return 0 when all was settled, 1 when something had to be left for the next start.

        Raises:
            XuqiError: it cannot start; the text says why.
        """
        with only_one(self.app), self._listening() as addresses:
            with self._consuming():
                crashed = self._served(addresses)
            settled = not any(loop.thread.is_alive() for loop in self.loops)
            self._record(stopped=True)
        return 0 if settled and not crashed else 1

    def _served(self, addresses: Sequence[str]) -> bool:
        timetable = self.timetable(self.app) if SCHEDULER in self.components else None
        if timetable is not None:
            timetable.start()
        self._ready(addresses)
        try:
            return self._until_told()
        finally:
            self.stop.set()
            self.app.store.announce_change()
            if timetable is not None:
                timetable.stop()

    def _has_readers(self) -> bool:
        from xuqi.simulated_readers import card_files  # noqa: PLC0415 - no other component knows it

        settings = self.app.settings
        return settings.readers != "simulated" or bool(card_files(settings.home))

    @contextlib.contextmanager
    def _consuming(self) -> Iterator[None]:
        app, every, deliveries = self.app, [], []
        for consumer in app.consumers(self.components):
            workers = None
            if hasattr(consumer, "carry_out"):
                workers = WorkerPool(app.settings.workers, consumer.group)
                every.append(workers)
            deliveries.append(app.runner(consumer, workers=workers))
        guard = ClockGuard(app.store)
        self.loops += [consuming(delivery, self.stop, guard) for delivery in deliveries]
        if RELAY in self.components:
            relays = open_relays(app.settings, app.store, app.log)
            self.loops += [relaying(relay, self.stop) for relay in relays]
        if STATION in self.components and self._has_readers():
            lock = StationLock(app.settings.home, app.settings.branch)
            self.loops.append(attending(app, lock, self.stop))
        for loop in self.loops:
            loop.thread.start()
        try:
            yield
        finally:
            until = time.monotonic() + STOPS_WITHIN
            for loop in self.loops:
                loop.thread.join(max(0.0, until - time.monotonic()))
            for workers in every:
                workers.shutdown()
            for delivery in deliveries:
                delivery.reader.close()

    @contextlib.contextmanager
    def _listening(self) -> Iterator[Sequence[str]]:
        """Yield each address it listens on, in words."""
        settings, found = self.app.settings, []
        with contextlib.ExitStack() as listening:
            if WEB in self.components:
                port = listening.enter_context(
                    http.listening(
                        self._public(listening), settings.host, settings.port, limits=self._limits()
                    )
                )
                found.append(f"http://{settings.host}:{port}")
            if settings.metrics_port:
                monitor, named = (
                    public_site.application(self._monitor(), workers=2),
                    "XUQI_METRICS_PORT",
                )
                port = listening.enter_context(
                    http.listening(
                        monitor, settings.metrics_host, settings.metrics_port, setting=named
                    )
                )
                found.append(f"metrics http://{settings.metrics_host}:{port}/metrics")
            yield found

    def _monitor(self) -> Monitor:
        """Every process reports on itself; those with the schedule, on the whole installation."""
        app = self.app
        of: list[object] = [
            ProcessCollector(home=app.settings.home, store=app.store, loops=self.loops)
        ]
        if SCHEDULER in self.components:
            from xuqi.serving.collector import StoreCollector  # noqa: PLC0415 - with what the scheduler needs

            backlog = open_backlog(app.settings)
            of.append(StoreCollector(app.store, app.policies, backlog, app.calendar))
        return Monitor(meters=self._meters, troubles=self.troubles, collectors=of)

    def _public(self, closing: contextlib.ExitStack) -> http.AsgiApp:
        """What the world may ask: every application that is reached from outside stands here."""
        from centre.pages.app import centre_app  # noqa: PLC0415 - only where it is served
        from xuqi.bank_log_in import customer_log_in  # noqa: PLC0415 - as above

        app, site = self.app, public_site.application(self._site())
        public = urlsplit(app.settings.public)
        pages = centre_app(
            app.store,
            app.centre,
            app.policies,
            bank=app.bank.details,
            hosts={*LOOPBACK, public.hostname or ""},
            https=public.scheme == "https",
            bank_log_in=customer_log_in(app.settings, app.clock),
        )
        return http.mounted(
            *(http.Mount(path=path, app=site) for path in public_site.PATHS),
            http.Mount(path="/stations", app=self._stations(closing)),
            http.Mount(path="", app=pages, body_bytes=LONGEST_BODY),
        )

    def _stations(self, closing: contextlib.ExitStack) -> http.AsgiApp:
        """Stations without a database ask here; without an enrolled key nobody learns anything."""
        from xuqi.serving.stations import StationBridge  # noqa: PLC0415 - only where it is served

        app = self.app
        bridge = StationBridge(app.store, app.log, partial(app.keys.ring, "stations"))
        closing.callback(bridge.close)
        return bridge.app()

    def _limits(self) -> http.Limits:
        settings = self.app.settings
        return http.Limits(
            connections=settings.http_connections,
            requests_per_second=settings.http_rate,
            proxies=settings.proxy_addresses,
        )

    def _site(self) -> public_site.PublicSite:
        from renewal.gateways.ca.embedded.adapter import EmbeddedCa  # noqa: PLC0415 - only where it is served

        app, ca = self.app, self._unmetered.ca  # what anybody may fetch is no call of ours
        return public_site.PublicSite(
            store=app.store,
            public=app.settings.public,
            ca=ca if isinstance(ca, EmbeddedCa) else None,
            token=other_secret(app.settings, "twilio")
            if app.settings.sms_url.startswith("twilio:")
            else None,
        )

    def troubles(self) -> list[str]:
        """What keeps this process from being ready."""
        if self.stop.is_set():
            return ["stopping"]
        found = [f"{loop.name}: {loop.trouble}" for loop in self.loops if loop.trouble]
        try:
            with self.app.store.snapshot():
                pass
        except XuqiError as error:
            found.append(str(error))
        return found

    def _ready(self, addresses: Sequence[str]) -> None:
        self._record()
        names = [loop.name for loop in self.loops]
        if SCHEDULER in self.components:
            names.append(SCHEDULER)
        on_signal = ", ".join(["xuqi: ready", *addresses, f"process {os.getpid()}"])
        print(f"{on_signal}: {', '.join(names)}", flush=True)
        if self._advice is not None:
            log.warning("%s", self._advice)
        lonely = unreachable(self.app.settings)
        if lonely is not None and ISSUING & set(self.components):
            log.warning("%s", lonely)

    def _until_told(self) -> bool:
        """Return whether it ends because a loop has crashed."""
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
        if text != self._written:
            settings = self.app.settings
            path = status_file(settings.home, self.components, settings.known_as)
            fresh = path.with_suffix(f".{os.getpid()}.new")
            try:
                fresh.write_text(text)
                fresh.replace(path)
            except OSError as error:  # `xuqi status` says less; what is at work goes on
                if self._unwritten != error.errno:
                    log.warning("%s cannot be written: %s", path, error.strerror)
                self._unwritten = error.errno
                return
            self._written, self._unwritten = text, None


@contextlib.contextmanager
def only_one(app: App) -> Iterator[None]:
    """
    SQLite has one writer, so one serving process; PostgreSQL allows many.

    Raises:
        LockTakenError
    """
    if not app.settings.store.startswith("sqlite"):
        yield
        return
    lock = ProcessLock(app.settings.home / "serve.lock")
    if not lock.take():
        raise LockTakenError(
            f"`xuqi serve` is running on {app.settings.home} already (process {lock.holder()}): "
            "stop it first, or name another folder with --home"
        )
    try:
        yield
    finally:
        lock.release()


def serve(
    app: App,
    components: Collection[str] = COMPONENTS,
    timetable: Callable[[App], Timetable] = timetable_of,
) -> int:
    """Serve these components until SIGTERM or SIGINT; a second SIGINT ends the process at once."""
    json_logging.write_to_stderr()
    serving = Serving(app, components, timetable)
    serving.check()  # before signals and collector are set for a process that serves

    def on_signal(number: int, _frame: object) -> None:
        if number == signal.SIGINT:
            signal.signal(number, signal.SIG_DFL)
        serving.stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    lower_priority(components)
    raise_gc_thresholds()
    code = serving.run()
    app.store.close()
    print("xuqi: stopped", flush=True)
    if any(loop.thread.is_alive() for loop in serving.loops):
        log.error("a call outside did not end in time: it is found out at the next start")
        logging.shutdown()
        sys.stdout.flush()
        os._exit(code)  # the threads of that call would keep the process
    return code


def lower_priority(components: Collection[str]) -> None:
    """
    Lower our priority if no component is urgent, so that a bulk run does not delay a code where
    cores are short.
    """
    if URGENT_COMPONENTS.isdisjoint(components):
        os.nice(NICENESS)


def raise_gc_thresholds() -> None:
    """
    Raise the GC thresholds: a batch allocates tens of thousands of objects but almost no reference
    cycles; the default costs a consumer 10 % CPU.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
