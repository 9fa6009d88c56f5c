"""Rooms of an installation whose outside takes no time, in processes of their own."""

from __future__ import annotations

import multiprocessing
import os
import sys
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from bench import bank
from xuqi.serving.process import collect_seldom, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from multiprocessing.synchronize import Event, Semaphore

    from xuqi.settings import Settings

READY_WITHIN = 60.0  #: seconds
_NEW = multiprocessing.get_context("spawn")


@contextmanager
def at_the_door(settings: Settings, *sets: Collection[str]) -> Iterator[Callable[[], None]]:
    """
    `xuqi serve` with each of these sets of rooms; all have opened their house, and begin when what
    is given is called.
    """
    opened, begin = _NEW.Semaphore(0), _NEW.Event()
    processes = [
        _NEW.Process(target=_serve, args=(settings, rooms, opened, begin)) for rooms in sets
    ]
    for process in processes:
        process.start()
    try:
        for _ in processes:
            assert opened.acquire(timeout=READY_WITHIN), "a process is not ready"
        yield begin.set
        for process, rooms in zip(processes, sets, strict=True):
            assert process.is_alive(), f"the process with {', '.join(rooms)} has ended"
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


@contextmanager
def served(settings: Settings, rooms: Collection[str]) -> Iterator[None]:
    """
    These rooms of the installation, at work.
    """
    with at_the_door(settings, rooms) as begin:
        begin()
        yield


def _serve(settings: Settings, rooms: Collection[str], opened: Semaphore, begin: Event) -> None:
    house = bank.opened(settings)
    collect_seldom()  # as `serve` does, when there is nothing left of it: a start is not measured
    opened.release()
    begin.wait()
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        sys.exit(serve(house, rooms))
