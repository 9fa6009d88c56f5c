"""A named lock that one process holds and that is released when the process dies."""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

_take = sa.text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0)), pg_is_in_recovery()")
_still_there = sa.text("SELECT 1")


class AdvisoryLock(Protocol):
    def acquire(self) -> bool:
        """
        Whether the place is ours; takes it if it is free.

        Raises:
            StoreUnavailableError
        """
        ...

    def close(self) -> None: ...


def advisory_lock(
    engine: sa.Engine, name: str, translate_errors: Callable[[], AbstractContextManager[None]]
) -> AdvisoryLock:
    """``translate_errors`` wraps every query and maps driver errors to StoreUnavailableError."""
    if engine.dialect.name == "postgresql":
        return _PostgresLock(engine, name, translate_errors)
    database = engine.url.database
    if not database or database == ":memory:":
        return _InMemoryLock()
    return _FileLock(Path(f"{database}.claims") / name)


class _InMemoryLock:
    """The lock of a database that no other process can see."""

    def acquire(self) -> bool:
        return True

    def close(self) -> None:
        pass


class _FileLock:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def acquire(self) -> bool:
        if self._file is None:
            self._take()
        return self._file is not None

    def _take(self) -> None:
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
        else:
            self._file = file

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


class _PostgresLock:
    """A session-level lock. It is lost with its connection, so every use checks the connection."""

    def __init__(
        self,
        engine: sa.Engine,
        name: str,
        translate_errors: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._engine = engine
        self._name = name
        self._translate_errors = translate_errors
        self._connection: sa.Connection | None = None

    def acquire(self) -> bool:
        if self._connection is not None:
            try:
                self._connection.execute(_still_there)
            except sa.exc.DBAPIError:
                self.close()
            else:
                return True
        with self._translate_errors():
            return self._take()

    def _take(self) -> bool:
        with ExitStack() as unless_taken:
            connection = unless_taken.enter_context(self._engine.connect())
            connection.execution_options(isolation_level="AUTOCOMMIT")
            taken, standby = connection.execute(_take, {"name": self._name}).one()
            if standby:  # it gives its locks, too, and so does the server that has its place now
                connection.invalidate()
                raise sa.exc.OperationalError(
                    None, None, ConnectionError("it takes no changes: a standby")
                )
            if taken:
                unless_taken.pop_all()
                self._connection = connection
        return bool(taken)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()  # never back into the pool: the lock goes with it
            self._connection.close()
            self._connection = None
