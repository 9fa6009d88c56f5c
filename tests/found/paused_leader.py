"""A scheduler in a process of its own that may be stopped in the middle of a job."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from renewal.clock import SystemClock
from scheduler import jobs
from scheduler import timetable as module
from tests.scenario import reminding as t

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from renewal.db.engine import Store

LASTS = timedelta(seconds=1)  #: a lease


def say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


class PausedScheduler(module.Timetable):
    """It says that it has begun, waits for a line, and then works on."""

    def _jobs(self) -> Mapping[str, Callable[[Store], object]]:
        return {"scan": self._scan}

    def _scan(self, store: Store) -> object:
        say("begun")
        sys.stdin.readline()
        return jobs.scan(store, self.policies)


def main(home: Path) -> None:
    town = t.open_town(home, SystemClock().now())
    town.store.clock = SystemClock()
    module.LASTS = LASTS
    scheduler = PausedScheduler(store=town.store, policies=town.policies, sms=town.app.gateways.sms)
    say(scheduler.run("scan"))
    town.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
