"""A virtual clock that several processes share, and a bell that wakes schedulers."""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PLACE = struct.Struct("<q")


class _Moments:
    """Some moments in a file. A process that dies while it writes takes no lock along."""

    def __init__(self, path: Path, count: int) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(self._file, count * _PLACE.size)
        self._memory = mmap.mmap(self._file, count * _PLACE.size)
        self._thread = threading.Lock()

    @contextmanager
    def alone(self) -> Iterator[None]:
        # flock holds between processes, not between threads that share an open file.
        with self._thread:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def __getitem__(self, number: int) -> int:
        return int(_PLACE.unpack_from(self._memory, number * _PLACE.size)[0])

    def __setitem__(self, number: int, microseconds: int) -> None:
        _PLACE.pack_into(self._memory, number * _PLACE.size, microseconds)


class SharedClock:
    """
    Stands until the story moves it; each reading, in whichever process, is one microsecond after
    the one before.
    """

    def __init__(self, path: Path) -> None:
        self._moments = _Moments(path, 1)

    def now(self) -> datetime:
        with self._moments.alone():
            self._moments[0] += 1
            return _EPOCH + self._moments[0] * _MICROSECOND

    def advance_to(self, moment: datetime) -> None:
        """Move on to the moment; never back."""
        with self._moments.alone():
            self._moments[0] = max(self._moments[0], (moment - _EPOCH) // _MICROSECOND)

    def elapsed(self) -> timedelta:
        """How far it was moved: a clock that is moved on purpose has not leapt."""
        with self._moments.alone():
            return self._moments[0] * _MICROSECOND


class Bell:
    """Rung by the story; each job answers once it has looked after that."""

    def __init__(self, path: Path, jobs: Collection[str]) -> None:
        self._jobs: Sequence[str] = sorted(jobs)
        self._count = _Moments(path, 1 + len(self._jobs))

    def ring(self) -> None:
        with self._count.alone():
            self._count[0] += 1

    @property
    def rung(self) -> int:
        """How often it was rung."""
        return self._count[0]

    def answer(self, job: str, rung: int) -> None:
        with self._count.alone():
            number = self._place(job)
            self._count[number] = max(self._count[number], rung)

    def unanswered(self) -> list[str]:
        rung = self.rung
        return [job for job in self._jobs if self._count[self._place(job)] < rung]

    def _place(self, job: str) -> int:
        return 1 + self._jobs.index(job)
