"""A relay in a process of its own that is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from producers.relay import OTHERS, Relay
from renewal.eventlog.kafka import Connection, KafkaLog
from renewal.eventlog.port import LogUnavailableError
from tests.flows.kafka.rig import TOPICS
from tests.stores import opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.flows.kafka.rig import Rig

PAUSE = 0.01  #: seconds, when there is nothing to carry


def live(told: dict[str, str]) -> None:
    """
    Carry until the process is killed, by its own hand at a point or by another's.
    """

    def probe(point: str) -> None:
        if point == told["die_at"]:
            os.kill(os.getpid(), signal.SIGKILL)

    log = KafkaLog(Connection(servers=(told["server"],), prefix=told["prefix"]))
    with opened(told["store"]) as store:
        claim = store.claim(OTHERS)
        relay = Relay(store, log.outlet(), claim, TOPICS, page=7, probe=probe)
        while True:
            with suppress(LogUnavailableError):
                if not relay.run_once():
                    time.sleep(PAUSE)


@contextmanager
def relay(rig: Rig, *, die_at: str = "") -> Iterator[subprocess.Popen[bytes]]:
    told = {
        "server": rig.connection.servers[0],
        "prefix": rig.connection.prefix,
        "store": str(rig.store.engine.url),
        "die_at": die_at,
    }
    command = [sys.executable, "-m", "tests.flows.kafka.relaying", json.dumps(told)]
    process = subprocess.Popen(command)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    live(json.loads(sys.argv[1]))
