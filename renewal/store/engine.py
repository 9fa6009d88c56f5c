"""The database, by its URL: SQLite or PostgreSQL, one meaning on both."""

from __future__ import annotations

import secrets
import sqlite3
import threading
import time
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from renewal.errors import XuqiError
from renewal.store.claim import claim
from renewal.store.shelf import ConflictError
from renewal.store.synchronous import Synchronous
from renewal.store.wakeups import Wakeups
from renewal.store.work import Work

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from renewal.clock import Clock
    from renewal.store.claim import Claim
    from renewal.store.vault import Vault


#: PostgreSQL's serialization_failure and deadlock_detected: the same transaction may succeed next.
ANOTHER_WAS_FIRST = ("40001", "40P01")
#: undefined_table and undefined_column, and what was prepared over another shape of the tables.
OTHER_TABLES = ("42P01", "42703", "0A000")
#: Whoever stands still within a transaction loses it, and its locks with it, about as soon as it
#: may be taken for dead. Pages are read in the order of an index, and no bitmap has one: before its
#: first ANALYZE PostgreSQL takes a backlog of the log for short, and would sort the whole of it for
#: each page. A server, role or URL that says otherwise is heeded.
OURS = """
SELECT set_config(name, ours, false) FROM pg_settings
JOIN (VALUES ('idle_in_transaction_session_timeout', '30s'), ('enable_bitmapscan', 'off'))
AS wanted (name, ours) USING (name) WHERE source = 'default'
"""
#: In another zone the last hours of the year 9999, "no end" in a certificate, cannot be read.
IN_UTC = "SET TIME ZONE 'UTC'"
#: A server whose machine is gone without a word is taken for away within about 30 s, not when the
#: system's own patience ends: hours. libpq's names; a URL that says otherwise is heeded.
NOTICES = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}
#: How it says that it has: idle_in_transaction_session_timeout and transaction_timeout.
STOOD_STILL = ("25P03", "25P04")
#: insufficient_privilege
NO_RIGHT = "42501"
#: What a standby says: read_only_sql_transaction, or feature_not_supported if told READ WRITE.
READS_ONLY, NOT_SUPPORTED = "25006", "0A000"
#: How psycopg asks for rows: ``psycopg.pq.Format.BINARY``, which is not imported for SQLite.
IN_BINARY = 1
#: How PostgreSQL reads: one moment's state, and nothing else.
LOOKS = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
BUSY = 30  #: seconds that SQLite waits for another process
#: Another process may have written: look again at least this often, where commits are not told.
UNTOLD = timedelta(milliseconds=200)
#: And where they are, in case that one was not heard.
TOLD = timedelta(seconds=2)


class StoreUnavailableError(XuqiError):
    """
    The database cannot be used now; nothing of the transaction is there.
    """


class Store:
    """
    Transactions over the tables. Nothing in them uses the network.
    """

    def __init__(
        self, url: str, *, clock: Clock, vault: Vault, synchronous: Synchronous = Synchronous.FULL
    ) -> None:
        self.clock = clock
        self.vault = vault
        self.engine = _engine(url, synchronous)
        sqlite = self.engine.dialect.name == "sqlite"
        # Python's driver would begin late. One that reads first and writes later could fail
        # half-way: who may write takes the lock at once.
        self._says_begin = sqlite
        self._looks: dict[str, Any] = {} if sqlite else LOOKS
        # SQLite has one writer. Waiting for our own lock wakes at once; waiting for its is polling.
        self._writer = _OneWriter() if sqlite else nullcontext()
        self._changed = threading.Condition()
        self._changes = 0
        self._for_all = 0  # the last change of which everybody is to know
        self._told: dict[str, int] = {}  # the last that told an event, by the event's kind
        self._name = secrets.token_hex(8)
        self._wakeups = None if sqlite else Wakeups(self.engine, self._name, self.wake)

    @contextmanager
    def work(self) -> Iterator[Work]:
        """
        One transaction that may write. It is there whole after the block, or not at all.

        Raises:
            ConflictError: another transaction was first; read again and decide again.
            StoreUnavailableError
        """
        with self._writer, self._transaction("BEGIN IMMEDIATE", writes=True) as work:
            yield work
            work.flush()
        self.wake(work.told)

    @contextmanager
    def look(self) -> Iterator[Work]:
        """
        One transaction that only reads, and sees one moment's state.

        Raises:
            StoreUnavailableError
        """
        with self._transaction("BEGIN", writes=False, **self._looks) as work:
            yield work

    @contextmanager
    def _transaction(self, begin: str, *, writes: bool, **how: object) -> Iterator[Work]:
        with _asking(), self.engine.connect() as connection:
            if how:
                connection.execution_options(**how)
            with _leaving_a_standby(connection, writes=writes), connection.begin():
                if self._says_begin:
                    connection.exec_driver_sql(begin)
                now = self.clock.now()
                yield Work(connection, self.vault, now, self._name, writes=writes)

    def claim(self, name: str) -> Claim:
        """
        A place that one process holds at a time.
        """
        return claim(self.engine, name, _asking)

    @property
    def changes(self) -> int:
        """
        A number that grows with each transaction of this process, and with others' as they are
        heard of.
        """
        return self._changes

    @property
    def look_again(self) -> timedelta:
        """
        How long to wait for a change at most: another process's may not be heard of.
        """
        return TOLD if self._wakeups and self._wakeups.hears else UNTOLD

    def wait_for_change(
        self, seen: int, timeout: timedelta, *, without: Collection[str] = ()
    ) -> None:
        """
        Return as soon as one of the changes since ``seen`` has told an event, but for those of the
        kinds ``without``, or after the time-out.
        """

        def told() -> bool:
            kinds = (at for kind, at in self._told.items() if kind not in without)
            return max(kinds, default=0) > seen or self._for_all > seen

        with self._changed:
            if self._wakeups:
                self._wakeups.start()
            self._changed.wait_for(told, timeout.total_seconds())

    def wake(self, told: Collection[str] | None = None) -> None:
        """
        Count a change, and end the waits for the kinds of event that it has told; every wait where
        nobody knows, and at the end of a process.
        """
        with self._changed:
            self._changes += 1
            if told is None:
                self._for_all = self._changes
            self._told |= dict.fromkeys(told or (), self._changes)
            if told is None or told:
                self._changed.notify_all()

    def close(self) -> None:
        if self._wakeups:
            self._wakeups.close()
        self.engine.dispose()


class _OneWriter:
    """
    One transaction at a time; one within another would wait for itself for ever.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner: int | None = None

    def __enter__(self) -> None:
        if self._owner == threading.get_ident():
            raise RuntimeError("a transaction was begun within another one")
        self._lock.acquire()
        self._owner = threading.get_ident()

    def __exit__(self, *_: object) -> None:
        self._owner = None
        self._lock.release()


def no_answer(error: sa.exc.DBAPIError) -> StoreUnavailableError:
    """
    What the driver says of a database that it cannot use, in one line.
    """
    said = str(error.orig).strip().partition("\n")[0]
    return StoreUnavailableError(f"the database does not answer: {said}")


@contextmanager
def _asking() -> Iterator[None]:
    """
    Tell the errors of a database as ours.
    """
    try:
        yield
    except sa.exc.IntegrityError as error:
        raise ConflictError(_broken_rule(error)) from error
    except (sa.exc.OperationalError, sa.exc.InterfaceError) as error:
        if getattr(error.orig, "sqlstate", None) in ANOTHER_WAS_FIRST:
            raise ConflictError("another transaction was first") from error
        raise no_answer(error) from error
    except sa.exc.DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None)
        if state in STOOD_STILL:
            told = "this process stood still within a transaction, and the database has ended it"
            raise StoreUnavailableError(told) from error
        if state == NO_RIGHT:
            told = "this login lacks a right to the tables: run deploy/postgresql/roles.sql"
            raise StoreUnavailableError(told) from error
        if state not in OTHER_TABLES:
            raise
        told = "the tables are not as this program knows them: run the program that made them"
        raise StoreUnavailableError(told) from error
    except sa.exc.TimeoutError as error:
        raise StoreUnavailableError("every connection to the database is in use") from error


@contextmanager
def _leaving_a_standby(connection: sa.Connection, *, writes: bool) -> Iterator[None]:
    """
    Give up the session of a server that takes no changes: the next may reach one that does.
    """
    try:
        yield
    except sa.exc.DBAPIError as error:
        if writes and _is_standby(error.orig):
            connection.invalidate()
            raise StoreUnavailableError("the database takes no changes: a standby") from error
        raise


def _is_standby(said: Any) -> bool:  # noqa: ANN401 - psycopg's own
    state = getattr(said, "sqlstate", None)
    # Its text is in the server's language; its place in the source is that of settings.
    refused = state == NOT_SUPPORTED and said.diag.source_file in {"guc.c", "variable.c"}
    return refused or state == READS_ONLY


def _broken_rule(error: sa.exc.IntegrityError) -> str:
    """
    Name the rule only: PostgreSQL's text holds the row.
    """
    diagnosis = getattr(error.orig, "diag", None)
    if diagnosis is None:
        return str(error.orig)
    rule = diagnosis.constraint_name or diagnosis.column_name
    return f"{diagnosis.table_name}: {rule}" if rule else str(diagnosis.message_primary)


def _engine(url: str, synchronous: Synchronous) -> sa.Engine:
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite":
        unsaid = {name: value for name, value in NOTICES.items() if name not in parsed.query}
        engine = sa.create_engine(
            parsed, hide_parameters=True, pool_pre_ping=True, connect_args=unsaid
        )
        sa.event.listen(engine, "connect", _prepare_postgresql)
        return engine
    if parsed.database and not parsed.database.startswith((":memory:", "file:")):
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(
        parsed, hide_parameters=True, connect_args={"check_same_thread": False, "timeout": BUSY}
    )
    sa.event.listen(engine, "connect", partial(_prepare_sqlite, synchronous))
    return engine


def _prepare_postgresql(connection: Any, _record: object) -> None:  # noqa: ANN401 - psycopg's own
    from psycopg.types.array import ListBinaryDumper  # noqa: PLC0415 - not there beside SQLite

    connection.cursor_factory = _in_binary(connection.cursor_factory)
    connection.adapters.register_dumper(list, ListBinaryDumper)  # each text in a list is quoted
    # Asked for by a statement: PgBouncer takes no options with the connection.
    connection.execute(OURS)
    connection.execute(IN_UTC)
    connection.commit()


def _in_binary(cursor: Callable[..., Any]) -> Callable[..., Any]:
    """
    A cursor whose rows come as the database keeps them: moments and bytes as texts would cost both
    sides a tenth of their time.
    """

    def made(*about: object, **how: object) -> Any:  # noqa: ANN401 - psycopg's own
        its = cursor(*about, **how)
        its.format = IN_BINARY
        return its

    return made


def _prepare_sqlite(
    synchronous: Synchronous,
    connection: Any,  # noqa: ANN401 - sqlite3's own
    _record: object,
) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    _in_wal(connection)
    for pragma in (
        f"synchronous={synchronous}",
        "foreign_keys=ON",
        "recursive_triggers=ON",  # else a REPLACE deletes rows behind an append-only table's back
        "cache_size=-65536",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _in_wal(connection: Any) -> None:  # noqa: ANN401 - sqlite3's own
    """
    The first connection changes a new file, and SQLite lets nobody wait until it may: ask again.
    """
    end = time.monotonic() + BUSY
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)  # SQLite tells nobody that it is free
        else:
            return
