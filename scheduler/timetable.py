"""Runs the jobs on the one scheduler that leads."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from renewal.clock_guard import ClockGuard
from renewal.db import leases
from renewal.db.engine import StoreUnavailableError
from renewal.db.identity_map import ConflictError
from renewal.errors import XuqiError
from renewal.store import clock_marks
from scheduler import delivery_receipts, jobs, runs
from scheduler.bounces import TakenIn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from renewal.db.engine import Store
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.gateways.sms.port import SmsGateway
    from renewal.rules.policies import Policies
    from scheduler.bounces import BounceReader

log = logging.getLogger(__name__)

LEASE = "scheduler"
LASTS = timedelta(seconds=30)
#: The lease is renewed three times before it would lapse.
KEEP_EVERY = timedelta(seconds=10)
#: However late a trigger is, the job still runs, once: it works from stored state.
GRACE_SECONDS = 24 * 60 * 60

#: Seconds between two looks at the clock, and how far it may jump between them unheeded.
LOOKS_EVERY = 1.0
JUMP = 2.0

EVERY: Mapping[str, timedelta] = {
    "scan": timedelta(minutes=5),
    "leave": timedelta(minutes=5),
    "remind": timedelta(minutes=1),
    "tend": timedelta(minutes=10),
    "reports": timedelta(minutes=1),
    "bounces": timedelta(minutes=1),
    "runs": timedelta(seconds=5),
}
#: Of these it is kept when they were last done, for people to see.
MARKED = frozenset({"scan", "remind"})


def this_process() -> str:
    """A name for this scheduler, unique also after a restart."""
    return f"{socket.gethostname()[:32]}:{os.getpid()}:{secrets.token_hex(4)}"


class _Fenced:
    """
    The store for a leader of one term: what it writes after its term is rolled back.

    A job that is told to stop does so between two transactions, and the next one goes on from
    there.
    """

    def __init__(self, store: Store, term: int, stopping: threading.Event) -> None:
        self._store = store
        self._term = term
        self._stopping = stopping

    @contextmanager
    def transaction(self) -> Iterator[UnitOfWork]:
        if self._stopping.is_set():
            raise leases.NotLeadingError(f"term {self._term} of {LEASE} is being given up")
        with self._store.transaction() as work:
            leases.fence(work, LEASE, self._term)
            yield work

    @contextmanager
    def snapshot(self) -> Iterator[UnitOfWork]:
        with self._store.snapshot() as work:
            yield work


@dataclass
class Timetable:
    """
    Correctness never depends on its triggers: a job that runs late, twice or on two machines does
    its work once.
    """

    store: Store
    policies: Policies
    sms: SmsGateway
    bounces: BounceReader | None = None
    ask_after: timedelta = delivery_receipts.ASK_AFTER
    holder: str = field(default_factory=this_process)
    every: Mapping[str, timedelta] = field(default_factory=lambda: EVERY)
    guard: ClockGuard = field(init=False)
    _term: int | None = None
    _stopping: threading.Event = field(default_factory=threading.Event)
    _leading: threading.Lock = field(default_factory=threading.Lock)
    _asked_up_to: str = ""
    _triggers: BackgroundScheduler | None = None
    _watch: threading.Thread | None = None

    def __post_init__(self) -> None:
        self.guard = ClockGuard(self.store)

    def start(self) -> None:
        """Start every job at once."""
        self._triggers = triggers = BackgroundScheduler(
            timezone=UTC,
            job_defaults={
                "coalesce": True,
                "misfire_grace_time": GRACE_SECONDS,
                "max_instances": 1,
            },
        )
        now = datetime.now(UTC)  # of the triggers only: what the jobs do has the store's clock
        for name, every in {"lead": KEEP_EVERY, **self.every}.items():
            run = self.lead if name == "lead" else self.runner(name)
            trigger = IntervalTrigger(seconds=every.total_seconds(), timezone=UTC)
            triggers.add_job(run, trigger, next_run_time=now, id=name)
        triggers.start()
        self._watch = threading.Thread(target=self._begin_anew_when_the_clock_jumps, daemon=True)
        self._watch.start()

    def _begin_anew_when_the_clock_jumps(self) -> None:
        """
        APScheduler's triggers go by the machine's clock: set back by a day, they stand for a day.
        """
        before = datetime.now(UTC), time.monotonic()
        while not self._stopping.wait(LOOKS_EVERY):
            now = datetime.now(UTC), time.monotonic()
            jump = (now[0] - before[0]).total_seconds() - (now[1] - before[1])
            if abs(jump) > JUMP and self._triggers is not None:
                log.warning("the clock jumped by %.0f s: every job begins anew", jump)
                for job in self._triggers.get_jobs():
                    job.modify(next_run_time=now[0])
            before = now

    def stop(self) -> None:
        """Return when no job is running; another scheduler can lead at once."""
        self._stopping.set()
        if self._watch is not None:
            self._watch.join()
            self._watch = None
        if self._triggers is not None:
            self._triggers.shutdown(wait=True)
            self._triggers = None
        if self._term is not None:
            with self.store.transaction() as work:
                leases.leave(work, LEASE, self.holder, self._term)
            self._term = None

    def lead(self) -> int | None:
        """Lead, or continue to lead, if nobody else does; return the term."""
        with self._leading:
            before = self._term
            try:
                with self.store.transaction() as work:
                    self._term = leases.take(work, LEASE, self.holder, LASTS)
            except (ConflictError, StoreUnavailableError) as error:
                self._term = None
                log.warning("no lease: %s", error)
            if self._term is not None and self._term != before:
                log.info("leads", extra={"holder": self.holder, "term": self._term})
            return self._term

    def runner(self, name: str) -> Callable[[], object]:
        return lambda: self.run(name)

    def run(self, name: str) -> object:
        """Run one job if this scheduler leads; return its result, else ``None``."""
        term = self.lead()
        return None if term is None else self.run_in_term(name, term)

    def run_in_term(self, name: str, term: int) -> object:
        """Run one job as the leader of that term; it is rolled back if the term is over."""
        # The jobs use no more of a store than a fenced one has.
        fenced = cast("Store", _Fenced(self.store, term, self._stopping))
        try:
            self.guard.check()
            done = self._jobs()[name](fenced)
            if name in MARKED:
                with fenced.transaction() as work:
                    clock_marks.job_done(work, name)
        except leases.NotLeadingError as error:
            log.warning("%s: %s", name, error)
            return None
        except XuqiError as error:  # what was not done is done at the next turn
            log.error("%s: %s", name, error)  # noqa: TRY400 - an error of ours says enough
            return None
        log.debug("%s: %s", name, done)
        return done

    def _jobs(self) -> Mapping[str, Callable[[Store], object]]:
        return {
            "scan": lambda store: jobs.scan(store, self.policies),
            "leave": lambda store: jobs.leave(store, self.policies),
            "remind": lambda store: jobs.remind(store, self.policies),
            "tend": lambda store: jobs.tend(store, self.policies),
            "reports": self._ask,
            "bounces": self._read_bounces,
            "runs": lambda store: runs.advance(store, self.policies),
        }

    def _read_bounces(self, store: Store) -> TakenIn:
        return TakenIn() if self.bounces is None else self.bounces.turn(store)

    def _ask(self, store: Store) -> delivery_receipts.Asked:
        asked = delivery_receipts.ask(
            store, self.sms, ask_after=self.ask_after, after=self._asked_up_to
        )
        self._asked_up_to = asked.after
        return asked
