"""Roles that one process holds at a time, released when it dies."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from renewal.errors import XuqiError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOOK_EVERY = 0.05  #: seconds
HAND_OVER = 10.0  #: seconds in which a served station lets go of its readers


class LockTakenError(XuqiError):
    """Another process holds the lock."""


class AddressError(XuqiError):
    """The address in the settings cannot be listened on."""


class ProcessLock:
    """A lock on a file that contains the holder's process id."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def take(self, wait: float = 0.0) -> bool:
        """Whether the lock is ours, after so many seconds at the latest."""
        until = time.monotonic() + wait
        while not self._taken():
            if time.monotonic() >= until:
                return False
            time.sleep(LOOK_EVERY)  # a wait inside flock could not be given up
        return True

    def holder(self) -> str:
        try:
            return self.path.read_text().strip() or "?"
        except OSError:
            return "?"

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _taken(self) -> bool:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._file = file
        with suppress(OSError):  # the lock holds; on a full disk it only says not whose it is
            os.ftruncate(file, 0)
            os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        return True


class StationLock:
    """The readers and the journal of one branch; a person goes before a service."""

    def __init__(self, home: Path, branch: str) -> None:
        self._held = ProcessLock(home / "station" / f"{branch}.lock")
        self._wanted = ProcessLock(home / "station" / f"{branch}.wanted")
        self._branch = branch

    @contextmanager
    def for_a_person(self) -> Iterator[None]:
        """
        Raises:
            LockTakenError: another person is working, or the service does not let go.
        """
        try:
            if not (self._wanted.take(1.0) and self._held.take(HAND_OVER)):
                raise LockTakenError(
                    f"the readers of branch {self._branch} are in use by process "
                    f"{self._held.holder()}: finish there first"
                )
            yield
        finally:
            self._held.release()
            self._wanted.release()

    def take_for_service(self) -> bool:
        return not self.wanted() and self._held.take()

    def wanted(self) -> bool:
        """Whether a person waits for the readers, or has them."""
        free = self._wanted.take()
        self._wanted.release()
        return not free

    def release(self) -> None:
        self._held.release()
