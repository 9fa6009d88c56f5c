"""Supervises a worker: forks it from a process with everything imported, and restarts it."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import logging
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import sqlalchemy as sa

from consumers.registry import CONSUMERS
from renewal.errors import XuqiError
from renewal.gateways.registry import ADAPTERS
from xuqi.cli.context import USAGE
from xuqi.event_log import is_kafka
from xuqi.serving import json_logging
from xuqi.serving.components import COMPONENTS, SCHEDULER, STATION, WEB

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from xuqi.settings import Settings

log = logging.getLogger(__name__)

#: Seconds. Whoever lived for less has not begun to work: after the first time, its successor waits.
SHORT_LIFE = 1.0
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
_STOPS = frozenset({signal.SIGTERM, signal.SIGINT})
_TOLD = _STOPS | {signal.SIGCHLD}
_PR_SET_PDEATHSIG = 1


class SupervisionError(XuqiError):
    """This system cannot end a worker with its parent."""


#: What FastAPI and uvicorn import only when an application is made and served.
PAGES_STAND_ON = (
    "importlib.readers", "importlib.resources.readers", "pydantic.v1", "uvicorn.lifespan.off",
    "uvicorn.loops.asyncio",
)  # fmt: skip


def preload(settings: Settings, components: Collection[str] = COMPONENTS) -> None:
    """Import what a worker with these settings imports, and open nothing."""
    for name in _imports(settings, components):
        importlib.import_module(name)
    sa.create_engine(settings.store).dispose()  # its driver; it connects to nothing


def _imports(settings: Settings, components: Collection[str]) -> Iterator[str]:
    yield from ("xuqi.serving.process", "holidays.countries.taiwan")
    yield "encodings.ascii"  # of the system's files that the clock reads
    yield from (where.partition(":")[0] for name, where in CONSUMERS.items() if name in components)
    if is_kafka(settings):
        yield "renewal.eventlog.kafka"
    if SCHEDULER in components:
        yield from ("scheduler.timetable", "xuqi.serving.collector")
    if WEB in components:
        yield from ("centre.pages.app", "xuqi.bank_log_in")
        yield from ("xuqi.serving.http", "xuqi.serving.stations")
        yield from PAGES_STAND_ON
    if STATION in components:
        yield "xuqi.simulated_readers"
    for kind, adapters in ADAPTERS.items():
        scheme = getattr(settings, f"{kind}_url").partition(":")[0]
        if scheme in adapters:  # of one that there is not, the worker says so
            yield adapters[scheme]


def supervise() -> None:
    """
    Return in each worker. The parent never returns: it exits with its worker's exit code when the
    worker ended well, was told to stop, or has unusable settings.

    The parent has one thread and no client; everything that two processes must not share is made
    after the fork. SIGTERM and SIGINT are passed on. A killed parent takes its worker along.

    Raises:
        SupervisionError
    """
    libc, parent = ctypes.CDLL(None), os.getpid()
    if not hasattr(libc, "prctl"):
        raise SupervisionError("--supervised needs Linux: its kernel ends the worker with us")
    json_logging.write_to_stderr()
    gc.collect()
    gc.freeze()  # else the collector of each worker would copy these pages
    usual = signal.pthread_sigmask(signal.SIG_BLOCK, _TOLD)
    short_lives = 0
    while worker := os.fork():
        began = time.monotonic()
        code, stopping = _watched(worker)
        if stopping or code in {0, USAGE}:
            sys.exit(code)
        log.error("the worker has died: another one begins", extra={"worker": worker, "code": code})
        short_lives = short_lives + 1 if time.monotonic() - began < SHORT_LIFE else 0
        _pause(short_lives)
    _end_with(parent, libc)
    signal.pthread_sigmask(signal.SIG_SETMASK, usual)


def _end_with(parent: int, libc: ctypes.CDLL) -> None:
    """
    Have the kernel kill us at once when the parent dies: a suspended or computing worker would
    notice the end of a pipe late, and an orphan would run beside its successor.
    """
    failed = libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
    if failed or os.getppid() != parent:  # it died before that line
        os._exit(1)


def _watched(worker: int) -> tuple[int, bool]:
    """Wait for its end; return its exit code, and whether it was told to stop."""
    stopping = False
    while (code := _reaped(worker)) is None:
        if signal.sigwait(_TOLD) in _STOPS:
            stopping = True
            # A terminal has sent SIGINT to the worker, too: a second one would end it at once.
            os.kill(worker, signal.SIGTERM)
    return code, stopping


def _reaped(worker: int) -> int | None:
    """Reap every child that has ended: the first process of a container also gets orphans."""
    code = None
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == worker:
                code = _code(os.waitstatus_to_exitcode(ended[1]))
    return code


def _code(status: int) -> int:
    return status if status >= 0 else 128 - status  # as a shell tells a signal


def _pause(short_lives: int) -> None:
    """No pause after the first failure: a single one restarts at once."""
    if short_lives <= 1:
        return
    longer = 2 ** min(short_lives - 2, 10)
    signalled = signal.sigtimedwait(_STOPS, min(FIRST_PAUSE * longer, LONGEST_PAUSE))
    if signalled:
        sys.exit(_code(-signalled.si_signo))
