"""Latency of a one-time code from request to hand-over, idle and during a bulk run."""

from __future__ import annotations

import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from bench import bank, components, servers
from bench.figures import Figure, at_most, percentile, rounded
from centre.actions import CodeSent
from consumers.otp import OneTimeCodes
from consumers.registry import CONSUMERS
from renewal.gateways.sms.null import NullSms
from schema.tables.log import dead_letters
from schema.tables.renewals import renewals as renewals_table
from xuqi.event_log import declared_topics, is_kafka, topics
from xuqi.serving.components import RELAY
from xuqi.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from renewal.delivery import ConsumerRunner
    from renewal.gateways.sms.port import Sms
    from xuqi.bootstrap import App

GOAL_BUSY = 3  #: times the idle figure
BUSY = 3  #: at most so many times as many codes in the bulk run as idle
LOOK_EVERY = 10  #: codes
PAUSE = 0.005  #: seconds between two codes
WAIT = timedelta(seconds=1)
BEGINS_WITHIN = 120.0  #: seconds
GROUP = OneTimeCodes.group
OTHERS = tuple(name for name in CONSUMERS if name != GROUP)
METHOD = (
    "Codes: customers ask one after another (Centre.send_code), from the call to the carrier's "
    "send, {codes} of them idle; one thread for codes. Then {renewals:,} renewals go through the "
    "other consumers meanwhile, and as many codes are asked for as that takes ({many}). On SQLite "
    "the bulk run is a thread of the same process, for SQLite has one; with PostgreSQL it is "
    "`xuqi serve` with those components as a process of its own, and with Kafka the relay is "
    "another."
)


@dataclass(frozen=True)
class Latencies:
    """Seconds for each code."""

    idle: Sequence[float]
    busy: Sequence[float]


@dataclass
class StampedSms(NullSms):
    """Remembers when each message was handed over."""

    at: dict[str, float] = field(default_factory=dict)
    came: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        super().__init__()

    def send(self, sms: Sms) -> str:
        now = time.perf_counter()
        with self.came:
            self.at[sms.id] = now
            self.came.notify_all()
        return super().send(sms)

    def when(self, challenge: str) -> float:
        with self.came:
            there = self.came.wait_for(lambda: f"{challenge}-1-sms" in self.at, timeout=60)
            assert there, f"{challenge} was never handed over"
            return self.at[f"{challenge}-1-sms"]


def figures(*, codes: int, renewals: int) -> list[Figure]:
    """On each of the three ways to install it."""
    with servers.postgresql() as server, servers.broker() as broker:
        ways = (
            ("SQLite", 25, None, None),
            ("PostgreSQL", 30, server, None),
            ("Kafka and PostgreSQL", 100, server, broker),
        )
        found = []
        for name, goal, where, log in ways:
            with servers.emptied(where) as url, tempfile.TemporaryDirectory() as folder:
                settings = Settings(home=Path(folder), store_url=url)
                if log:
                    prefix = servers.connection(log).prefix
                    settings = replace(settings, log_url=f"kafka://{log}?prefix={prefix}")
                    topics(settings).apply(declared_topics(settings))
                found.append((name, goal, latencies(settings, codes, renewals)))
    many = ", ".join(f"{name} {len(each.busy)}" for name, _, each in found)
    method = METHOD.format(codes=codes, renewals=renewals, many=many)
    return [figure for told in found for figure in _told(*told, renewals, method)]


def _told(name: str, goal: int, each: Latencies, renewals: int, method: str) -> list[Figure]:
    def milliseconds(values: Sequence[float], share: float) -> float:
        return 1e3 * percentile(values, share)

    def both(values: Sequence[float]) -> str:
        return f"{milliseconds(values, 0.5):.3g} / {rounded(milliseconds(values, 0.99), 'ms')}"

    fast, slow = milliseconds(each.idle, 0.99), milliseconds(each.busy, 0.99)
    return [
        at_most(
            f"code, request to hand-over, {name}: p50 / p99",
            fast,
            "ms",
            goal,
            shown=both(each.idle),
            method=method,
        ),
        at_most(
            f"the same while {renewals:,} renewals go through, {name}; p99 against idle",
            slow / fast,
            "×",
            GOAL_BUSY,
            shown=f"{both(each.busy)}; {rounded(slow / fast, '×')}",
        ),
    ]


def latencies(settings: Settings, codes: int, renewals: int) -> Latencies:
    """Each code's time: idle, and while the renewals go through."""
    sms = StampedSms()
    app = bank.opened(settings, sms)
    # Codes are for the product that is confirmed by them: every second certificate's.
    numbers = iter(range(2, 2 * (1 + codes + BUSY * codes) + 1, 2))
    first = 2 * (2 + codes + BUSY * codes)  # of the bulk run
    with ExitStack() as stack:
        stack.callback(app.store.close)
        bank.take_in(app, 1, first + renewals)
        if is_kafka(settings):
            stack.enter_context(components.served(settings, [RELAY]))
        (ours,) = [it for it in app.consumers() if isinstance(it, OneTimeCodes)]
        stack.enter_context(running([app.runner(ours)]))
        code_seconds(app, sms, next(numbers))  # the first one waits for the group to be joined
        idle = [code_seconds(app, sms, number) for number in islice(numbers, codes)]
        bank.ask(app, first, renewals)
        with _bulk_run(app):
            busy = list(_while_under_way(app, sms, numbers))
        _nothing_died(app)
    return Latencies(idle, busy)


def code_seconds(app: App, sms: StampedSms, certificate: int) -> float:
    """Ask for a code; return how long it took until it was handed over."""
    began = time.perf_counter()
    sent = app.centre.send_code(certificate, action="renew", session="a session")
    assert isinstance(sent, CodeSent), sent
    seconds = sms.when(sent.challenge) - began
    time.sleep(PAUSE)
    return seconds


def _while_under_way(app: App, sms: StampedSms, numbers: Iterator[int]) -> Iterator[float]:
    for count, number in enumerate(numbers, start=1):
        yield code_seconds(app, sms, number)
        if count % LOOK_EVERY == 0 and _ended(app):
            return


def _ended(app: App) -> bool:
    """Whether every renewal is issued, and waits for its customer's proof."""
    return not _count(app, renewals_table.c.state.in_(("confirmed", "fee held", "sent to CA")))


def _begun(app: App) -> bool:
    return _count(app, renewals_table.c.state != "confirmed") > 0


def _count(app: App, where: sa.ColumnElement[bool]) -> int:
    with app.store.snapshot() as look:
        return look.connection.scalar(sa.select(sa.func.count()).where(where)) or 0


def _nothing_died(app: App) -> None:
    with app.store.snapshot() as look:
        dead = look.connection.scalar(sa.select(sa.func.count()).select_from(dead_letters))
    assert not dead, f"{dead} dead letters"


@contextmanager
def _bulk_run(app: App) -> Iterator[None]:
    """The other consumers at work, from their first renewal on."""
    if app.settings.store.startswith("sqlite"):
        others = [it for it in app.consumers() if it.group in OTHERS]
        run: AbstractContextManager[object] = running([app.runner(one) for one in others])
    else:
        run = components.served(app.settings, OTHERS)
    with run:
        until = time.monotonic() + BEGINS_WITHIN
        while not _begun(app):
            assert time.monotonic() < until, "the bulk run does not begin"
            time.sleep(PAUSE)
        yield


@contextmanager
def running(deliveries: Sequence[ConsumerRunner]) -> Iterator[None]:
    """These consumers, in a thread of their own, for as long as the block lasts."""
    stop = threading.Event()

    def turn() -> None:
        wait = WAIT if len(deliveries) == 1 else timedelta(0)
        while not stop.is_set():
            if not sum(delivery.run_once(wait) for delivery in deliveries):
                stop.wait(0 if wait else PAUSE)

    thread = threading.Thread(target=turn)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        for delivery in deliveries:
            delivery.reader.close()
