"""A relay in a process of its own that is killed."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from producers.relay import OTHERS, Relay
from renewal.eventlog.kafka import Connection, KafkaLog
from renewal.eventlog.port import LogUnavailableError
from tests.flows.kafka.rig import TOPICS
from tests.scenario.stores import opened

if TYPE_CHECKING:
    import subprocess
    from contextlib import AbstractContextManager

    from tests.flows.kafka.rig import Rig

PAUSE = 0.01  #: seconds, when there is nothing to carry


def live(told: dict[str, str]) -> None:
    """Carry until the process is killed, by its own hand at a point or by another's."""

    def probe(point: str) -> None:
        if point == told["die_at"]:
            os.kill(os.getpid(), signal.SIGKILL)

    log = KafkaLog(Connection(servers=(told["server"],), prefix=told["prefix"]))
    with opened(told["store"]) as store:
        claim = store.advisory_lock(OTHERS)
        relay = Relay(store, log.outlet(), claim, TOPICS, page=7, probe=probe)
        while True:
            with suppress(LogUnavailableError):
                if not relay.run_once():
                    time.sleep(PAUSE)


def relay(rig: Rig, *, die_at: str = "") -> AbstractContextManager[subprocess.Popen[bytes]]:
    return rig.process("tests.flows.kafka.relaying", die_at=die_at)


if __name__ == "__main__":
    live(json.loads(sys.argv[1]))
