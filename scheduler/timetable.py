"""Runs the jobs in time, on the one scheduler that leads."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from renewal.errors import XuqiError
from renewal.store import leases
from renewal.store.engine import StoreUnavailableError
from renewal.store.shelf import ConflictError
from scheduler import jobs, reports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from renewal.cycle import Policies
    from renewal.gateways.sms.port import SmsGateway
    from renewal.store.engine import Store
    from renewal.store.work import Work

log = logging.getLogger(__name__)

LEASE = "scheduler"
LASTS = timedelta(seconds=30)
#: The lease is renewed three times before it would lapse.
KEEP_EVERY = timedelta(seconds=10)
#: However late a trigger is, the job still runs, once: it works from stored state.
GRACE_SECONDS = 24 * 60 * 60

EVERY: Mapping[str, timedelta] = {
    "scan": timedelta(minutes=5),
    "leave": timedelta(minutes=5),
    "remind": timedelta(minutes=1),
    "tend": timedelta(minutes=10),
    "reports": timedelta(minutes=1),
}


def this_process() -> str:
    """
    A name for this scheduler that no other one has, nor itself after a restart.
    """
    return f"{socket.gethostname()[:32]}:{os.getpid()}:{secrets.token_hex(4)}"


class _Fenced:
    """
    The store as a leader of one term sees it: what it writes after its term does not stand.

    A job that is told to stop does so between two transactions: the next one goes on from there.
    """

    def __init__(self, store: Store, term: int, stopping: threading.Event) -> None:
        self._store = store
        self._term = term
        self._stopping = stopping

    @contextmanager
    def work(self) -> Iterator[Work]:
        if self._stopping.is_set():
            raise leases.NotLeadingError(f"term {self._term} of {LEASE} is being given up")
        with self._store.work() as work:
            leases.fence(work, LEASE, self._term)
            yield work

    @contextmanager
    def look(self) -> Iterator[Work]:
        with self._store.look() as work:
            yield work


@dataclass
class Timetable:
    """
    Correctness never rests on its triggers: a job that runs late, twice or on two machines does
    what there is to do once.
    """

    store: Store
    policies: Policies
    sms: SmsGateway
    ask_after: timedelta = reports.ASK_AFTER
    holder: str = field(default_factory=this_process)
    every: Mapping[str, timedelta] = field(default_factory=lambda: EVERY)
    _term: int | None = None
    _stopping: threading.Event = field(default_factory=threading.Event)
    _leading: threading.Lock = field(default_factory=threading.Lock)
    _asked_up_to: str = ""
    _triggers: BackgroundScheduler | None = None

    def start(self) -> None:
        """
        Begin at once with every job.
        """
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

    def stop(self) -> None:
        """
        Return when no job is running; another scheduler can lead at once.
        """
        self._stopping.set()
        if self._triggers is not None:
            self._triggers.shutdown(wait=True)
            self._triggers = None
        if self._term is not None:
            with self.store.work() as work:
                leases.leave(work, LEASE, self.holder, self._term)
            self._term = None

    def lead(self) -> int | None:
        """
        Lead, or go on leading, if nobody else does; return the term.
        """
        with self._leading:
            before = self._term
            try:
                with self.store.work() as work:
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
        """
        Run one job, if this scheduler leads; return what it has done, else ``None``.
        """
        term = self.lead()
        return None if term is None else self.run_in_term(name, term)

    def run_in_term(self, name: str, term: int) -> object:
        """
        Run one job as the leader of that term. Nothing of it stands if the term is over.
        """
        # The jobs use no more of a store than a fenced one has.
        fenced = cast("Store", _Fenced(self.store, term, self._stopping))
        try:
            done = self._jobs()[name](fenced)
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
        }

    def _ask(self, store: Store) -> reports.Asked:
        asked = reports.ask(store, self.sms, ask_after=self.ask_after, after=self._asked_up_to)
        self._asked_up_to = asked.after
        return asked
