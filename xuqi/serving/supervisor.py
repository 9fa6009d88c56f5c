"""Keeps a worker running: whoever has everything imported forks it, and another when it dies."""

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

from renewal.errors import XuqiError
from xuqi.desk import USAGE
from xuqi.logs import is_kafka
from xuqi.serving import logbook
from xuqi.serving.rooms import ROOMS, SCHEDULER, STATION

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
    """
    This system cannot end a worker with its parent.
    """


def preload(settings: Settings, rooms: Collection[str] = ROOMS) -> None:
    """
    Import whatever a worker with these settings imports, and open nothing.
    """
    for name in _imports(settings, rooms):
        importlib.import_module(name)
    sa.create_engine(settings.store).dispose()  # its driver; it connects to nothing


def _imports(settings: Settings, rooms: Collection[str]) -> Iterator[str]:
    yield from ("xuqi.serving.process", "holidays.countries.taiwan")
    if is_kafka(settings):
        yield "renewal.eventlog.kafka"
    if SCHEDULER in rooms:
        yield from ("scheduler.timetable", "xuqi.serving.figures")
    if STATION in rooms:
        yield "xuqi.readers"
    yield from ("renewal.gateways.ca.embedded", "renewal.gateways.bank.embedded")
    sms, mail = (url.partition(":")[0] for url in (settings.sms_url, settings.mail_url))
    yield f"renewal.gateways.sms.{'twilio' if sms == 'twilio' else 'mailbox'}"
    yield f"renewal.gateways.mail.{'smtp' if mail == 'smtp' else 'mailbox'}"


def supervise() -> None:
    """
    Return in each worker that is to work. In the parent never: it ends, with its worker's exit
    code, when that one ended well, was told to stop, or has a setting that cannot be used.

    The parent has one thread and no client: what a fork would share between two processes is made
    after it. SIGTERM and SIGINT are passed on. A parent that is killed takes its worker along.

    Raises:
        SupervisionError
    """
    libc, parent = ctypes.CDLL(None), os.getpid()
    if not hasattr(libc, "prctl"):
        raise SupervisionError("--supervised needs Linux: its kernel ends the worker with us")
    logbook.write_to_stderr()
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
    Have the kernel kill us when the parent dies: at once, also one that stands still or computes,
    which would be late to see the end of a pipe. It is a power cut, and leaves no orphan that
    works beside its successor under the same name.
    """
    failed = libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
    if failed or os.getppid() != parent:  # it died before that line
        os._exit(1)


def _watched(worker: int) -> tuple[int, bool]:
    """
    Wait for its end; return its exit code, and whether it was told to stop.
    """
    stopping = False
    while (code := _reaped(worker)) is None:
        if signal.sigwait(_TOLD) in _STOPS:
            stopping = True
            # A terminal has sent SIGINT to the worker, too: a second one would end it at once.
            os.kill(worker, signal.SIGTERM)
    return code, stopping


def _reaped(worker: int) -> int | None:
    """
    Take in every child that has ended: the first process of a container gets orphans, too.
    """
    code = None
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == worker:
                code = _code(os.waitstatus_to_exitcode(ended[1]))
    return code


def _code(status: int) -> int:
    return status if status >= 0 else 128 - status  # as a shell tells a signal


def _pause(short_lives: int) -> None:
    """
    Not after the first: one that has no luck begins again at once.
    """
    if short_lives <= 1:
        return
    longer = 2 ** min(short_lives - 2, 10)
    told = signal.sigtimedwait(_STOPS, min(FIRST_PAUSE * longer, LONGEST_PAUSE))
    if told:
        sys.exit(_code(-told.si_signo))
