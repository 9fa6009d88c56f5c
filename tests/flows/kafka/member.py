"""One member of a group, in a process of its own that is killed."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from renewal.delivery import ConsumerRunner
from renewal.eventlog.kafka import Connection, KafkaLog
from renewal.outcome import Done, IfInterrupted, Outcome
from schema.events import CertificateChanged, ChangeRequested, Event, Topic
from tests.scenario.decisions import decide
from tests.scenario.stores import opened

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from renewal.db.unit_of_work import UnitOfWork
    from tests.flows.kafka.rig import Rig

SOON = timedelta(milliseconds=200)
#: What is asked again with the same id is not done again: so do a bank and a CA.
KNOWS_IDS = "knows ids"


@dataclass(frozen=True)
class Order:
    event: ChangeRequested
    again: bool


@dataclass
class Writes:
    """Its effect is a line in a file; interrupted, it finds out first whether it is there."""

    group: ClassVar[str] = "tests"
    topics: ClassVar[tuple[str, ...]] = (Topic.CERTIFICATES.value,)
    kinds: ClassVar[tuple[type[Event], ...]] = (ChangeRequested,)
    if_interrupted: ClassVar[IfInterrupted] = IfInterrupted.ASK

    path: Path
    who: str
    outside: str = ""

    def preload(self, events: Sequence[ChangeRequested], work: UnitOfWork) -> None:
        pass

    def prepare(self, event: ChangeRequested, work: UnitOfWork, *, outcome_unknown: bool) -> object:  # noqa: ARG002 - the port
        return Order(event, outcome_unknown)

    def carry_out(self, order: Order) -> object:
        line = f"{order.event.certificate} {order.event.number}"
        with self.path.open("a") as ledger:
            fcntl.flock(ledger, fcntl.LOCK_EX)
            looks = order.again or self.outside == KNOWS_IDS
            if not (looks and any(done.startswith(f"{line} ") for done in lines(self.path))):
                ledger.write(f"{line} {self.who}\n")
        return "done"

    def conclude(self, order: Order, answer: str, work: UnitOfWork) -> Outcome:  # noqa: ARG002 - the port
        event = order.event
        decide(work, event.certificate, "test", f"{event.number}")
        return Done(
            (
                CertificateChanged(
                    certificate=event.certificate,
                    change=event.change,
                    number=event.number,
                    changed=work.at,
                ),
            )
        )


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def live(told: dict[str, str]) -> None:
    """
    Deliver until the process is killed, by its own hand at a point or by another's; at another
    point it stands still, once, until it is woken.
    """

    def probe(point: str) -> None:
        if point == told["die_at"]:
            os.kill(os.getpid(), signal.SIGKILL)
        if point == told["stop_at"]:
            told["stop_at"] = ""
            os.kill(os.getpid(), signal.SIGSTOP)

    connection = Connection(servers=(told["server"],), prefix=told["prefix"])
    log = KafkaLog(connection, member=told["member"] or None)
    consumer = Writes(Path(told["ledger"]), told["who"], told["outside"])
    reader = log.reader(
        consumer.group, consumer.topics, session_timeout_ms=1_500, heartbeat_interval_ms=300
    )
    with opened(told["store"]) as store:
        delivery = ConsumerRunner(consumer, reader, store, at_most=20, probe=probe)
        while True:
            delivery.run_once(SOON)


def member(
    rig: Rig,
    ledger: Path,
    *,
    who: str,
    die_at: str = "",
    stop_at: str = "",
    slot: str = "",
    outside: str = "",
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    return rig.process(
        "tests.flows.kafka.member",
        ledger=str(ledger),
        who=who,
        die_at=die_at,
        stop_at=stop_at,
        outside=outside,
        member=slot,
    )


if __name__ == "__main__":
    live(json.loads(sys.argv[1]))
