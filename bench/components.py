"""Components of an installation whose outside systems take no time, in their own processes."""

from __future__ import annotations

import multiprocessing
import os
import sys
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from bench import bank
from xuqi.serving.process import raise_gc_thresholds, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from multiprocessing.synchronize import Event, Semaphore

    from xuqi.settings import Settings

READY_WITHIN = 60.0  #: seconds
#: A new process is forked from one that has read all modules, and opened nothing.
_FORKS = multiprocessing.get_context("forkserver")
_PRELOADED = ["bench.components", "renewal.eventlog.kafka", "psycopg"]


@contextmanager
def at_the_door(settings: Settings, *sets: Collection[str]) -> Iterator[Callable[[], None]]:
    """
    `xuqi serve` with each of these sets of components; all have opened their installation, and
    begin when what is given is called.
    """
    _FORKS.set_forkserver_preload(_PRELOADED)
    opened, begin = _FORKS.Semaphore(0), _FORKS.Event()
    processes = [
        _FORKS.Process(target=_serve, args=(settings, components, opened, begin))
        for components in sets
    ]
    for process in processes:
        process.start()
    try:
        for _ in processes:
            assert opened.acquire(timeout=READY_WITHIN), "a process is not ready"
        yield begin.set
        for process, components in zip(processes, sets, strict=True):
            assert process.is_alive(), f"the process with {', '.join(components)} has ended"
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


@contextmanager
def served(settings: Settings, components: Collection[str]) -> Iterator[None]:
    """These components of the installation, at work."""
    with at_the_door(settings, components) as begin:
        begin()
        yield


def _serve(
    settings: Settings, components: Collection[str], opened: Semaphore, begin: Event
) -> None:
    app = bank.opened(settings)
    raise_gc_thresholds()  # as `serve` does; a start is not measured
    opened.release()
    begin.wait()
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        sys.exit(serve(app, components))
