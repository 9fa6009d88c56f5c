"""From a customer's request for a code to its hand-over to the carrier, idle and in a bulk run."""

from __future__ import annotations

import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bench import bank
from bench.figures import Figure, at_most, percentile
from centre.actions import Sent
from consumers.otp import OneTimeCodes
from renewal.gateways.sms.null import NullSms
from xuqi.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from renewal.delivery import Delivery
    from renewal.gateways.sms.port import Sms
    from xuqi.house import House

GOAL = 25  #: milliseconds, p99
GOAL_BUSY = 3  #: times the idle figure
PAUSE = 0.005  #: seconds between two codes
WAIT = timedelta(seconds=1)
METHOD = (
    "Codes: up to {codes} customers ask one after another (Centre.send_code), from the call to the "
    "carrier's send; embedded log, SQLite, one thread for codes. In a bulk run: {renewals:,} "
    "renewals go through the other consumers in a thread of the same process meanwhile."
)


@dataclass
class StampedSms(NullSms):
    """
    Remembers when each message was handed over.
    """

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
    with tempfile.TemporaryDirectory() as folder:
        idle, busy = latencies(Path(folder), codes, renewals)
    return [
        Figure(
            what="code, request → hand-over, p50",
            value=1e3 * percentile(idle, 0.5),
            unit="ms",
            method=METHOD.format(codes=codes, renewals=renewals),
        ),
        at_most("code, request → hand-over, p99", 1e3 * percentile(idle, 0.99), "ms", GOAL),
        Figure(what="the same in a bulk run, p50", value=1e3 * percentile(busy, 0.5), unit="ms"),
        Figure(what="the same in a bulk run, p99", value=1e3 * percentile(busy, 0.99), unit="ms"),
        at_most(
            "code in a bulk run / idle, p99",
            percentile(busy, 0.99) / percentile(idle, 0.99),
            "times",
            GOAL_BUSY,
        ),
    ]


def latencies(folder: Path, codes: int, renewals: int) -> tuple[list[float], list[float]]:
    """
    Seconds for each code: idle, and while the renewals go through.
    """
    sms = StampedSms()
    house = bank.opened(Settings(home=folder), sms)
    try:
        bank.take_in(house, 1, 2 * codes)
        bank.take_in(house, 2 * codes + 1, renewals)
        bank.ask(house, 2 * codes + 1, renewals)
        others = [it for it in house.consumers() if not isinstance(it, OneTimeCodes)]
        (ours,) = [it for it in house.consumers() if isinstance(it, OneTimeCodes)]
        # Codes are for the product that is confirmed by them: every second certificate's.
        with _running([house.delivery(ours)]):
            idle = [_one(house, sms, number) for number in range(2, codes + 1, 2)]
            with _running([house.delivery(one) for one in others]) as quiet:
                busy = [
                    _one(house, sms, number)
                    for number in range(codes + 2, 2 * codes + 1, 2)
                    if not quiet.is_set()
                ]
    finally:
        house.store.close()
    return idle, busy


def _one(house: House, sms: StampedSms, certificate: int) -> float:
    began = time.perf_counter()
    sent = house.centre.send_code(certificate, action="renew", session="a session")
    assert isinstance(sent, Sent), sent
    seconds = sms.when(sent.challenge) - began
    time.sleep(PAUSE)
    return seconds


@contextmanager
def _running(deliveries: list[Delivery]) -> Iterator[threading.Event]:
    """
    These consumers, in a thread of their own, for as long as the block lasts; gives what is set
    once they have nothing left to do.
    """
    stop, quiet = threading.Event(), threading.Event()

    def turn() -> None:
        wait = WAIT if len(deliveries) == 1 else timedelta(0)
        while not stop.is_set():
            if not sum(delivery.run_once(wait) for delivery in deliveries):
                quiet.set()
                stop.wait(0 if wait else PAUSE)

    thread = threading.Thread(target=turn)
    thread.start()
    try:
        yield quiet
    finally:
        stop.set()
        thread.join()
