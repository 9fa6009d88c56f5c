"""The database, by its URL: SQLite or PostgreSQL, one meaning on both."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from renewal.errors import XuqiError
from renewal.store.shelf import ConflictError
from renewal.store.work import Work

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from renewal.clock import Clock
    from renewal.store.vault import Vault


class StoreUnavailableError(XuqiError):
    """
    The database cannot be used now; nothing of the transaction is there.
    """


class Store:
    """
    Transactions over the tables. Nothing in them uses the network.
    """

    def __init__(self, url: str, *, clock: Clock, vault: Vault) -> None:
        self.clock = clock
        self.vault = vault
        self.engine = _engine(url)
        # SQLite has one writer. A lock of ours is fair and wakes at once; its own is neither.
        self._writer = threading.RLock() if self.engine.dialect.name == "sqlite" else None
        self._changed = threading.Condition()
        self._changes = 0

    @contextmanager
    def work(self) -> Iterator[Work]:
        """
        One transaction that may write. It is there whole after the block, or not at all.
        """
        if self._writer is None:
            with self._transaction("WRITE") as work:
                yield work
        else:
            with self._writer, self._transaction("WRITE") as work:
                yield work
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    @contextmanager
    def look(self) -> Iterator[Work]:
        """
        One transaction that only reads.
        """
        with self._transaction("READ") as work:
            yield work

    @contextmanager
    def _transaction(self, purpose: str) -> Iterator[Work]:
        try:
            with (
                self.engine.connect().execution_options(xuqi_purpose=purpose) as connection,
                connection.begin(),
            ):
                work = Work(connection, self.vault, self.clock.now())
                yield work
                work.flush()
        except sa.exc.IntegrityError as error:  # another was first: read again, decide again
            raise ConflictError(str(error.orig)) from error
        except sa.exc.OperationalError as error:
            raise StoreUnavailableError(f"the database does not answer: {error.orig}") from error

    @property
    def changes(self) -> int:
        """
        A number that grows with each transaction of this process.
        """
        return self._changes

    def wait_for_change(self, seen: int, timeout: timedelta) -> None:
        """
        Return as soon as there have been more changes than ``seen``, or after the time-out.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._changes > seen, timeout.total_seconds())

    def wake(self) -> None:
        """
        End every wait, as at the end of a process.
        """
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def close(self) -> None:
        self.engine.dispose()


def _engine(url: str) -> sa.Engine:
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return sa.create_engine(parsed, hide_parameters=True, pool_pre_ping=True)
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(
        parsed, hide_parameters=True, connect_args={"check_same_thread": False, "timeout": 30}
    )
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - sqlite3's own
    connection.isolation_level = None  # we say BEGIN ourselves
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",  # in batches it costs nothing
        "foreign_keys=ON",
        "cache_size=-65536",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    # A transaction that reads first and writes later could fail half-way: take the lock at once.
    writes = connection.get_execution_options().get("xuqi_purpose") == "WRITE"
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
