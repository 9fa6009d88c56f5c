"""The database by URL: SQLite or PostgreSQL with the same semantics."""

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

from renewal.clock import moment
from renewal.db.advisory_lock import advisory_lock
from renewal.db.identity_map import ConflictError
from renewal.db.notifications import CommitNotifier
from renewal.db.synchronous import Synchronous
from renewal.db.unit_of_work import UnitOfWork
from renewal.errors import NotFoundError, XuqiError
from schema.reasons import RefusalReason

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from datetime import datetime

    from renewal.clock import Clock
    from renewal.db.advisory_lock import AdvisoryLock
    from renewal.db.encryption import FieldCipher


#: PostgreSQL's serialization_failure and deadlock_detected: the same transaction may succeed next.
RETRYABLE_STATES = ("40001", "40P01")
#: undefined_table and undefined_column, and what was prepared over another shape of the tables.
SCHEMA_MISMATCH = ("42P01", "42703", "0A000")
#: Whoever stands still within a transaction loses it, and its locks with it, about as soon as it
#: may be taken for dead. Pages are read in the order of an index, and no bitmap has one: before its
#: first ANALYZE PostgreSQL takes a backlog of the log for short, and would sort the whole of it for
#: each page. A server, role or URL that says otherwise is heeded.
SESSION_DEFAULTS = """
SELECT set_config(name, ours, false) FROM pg_settings
JOIN (VALUES ('idle_in_transaction_session_timeout', '30s'), ('enable_bitmapscan', 'off'))
AS wanted (name, ours) USING (name) WHERE source = 'default'
"""
#: In another zone the last hours of the year 9999, "no end" in a certificate, cannot be read.
UTC_SESSION = "SET TIME ZONE 'UTC'"
#: A server whose machine is gone without a word is taken for away within about 30 s, not when the
#: system's own patience ends: hours. libpq's names; a URL that says otherwise is heeded.
CONNECT_OPTIONS = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}
#: How it says that it has: idle_in_transaction_session_timeout and transaction_timeout.
IDLE_TIMEOUTS = ("25P03", "25P04")
#: insufficient_privilege
INSUFFICIENT_PRIVILEGE = "42501"
NUMERIC_VALUE_OUT_OF_RANGE = "22003"
#: What a standby says: read_only_sql_transaction, or feature_not_supported on READ WRITE.
READ_ONLY_TRANSACTION, FEATURE_NOT_SUPPORTED = "25006", "0A000"
#: How psycopg asks for rows: ``psycopg.pq.Format.BINARY``, which is not imported for SQLite.
BINARY_FORMAT = 1
#: How PostgreSQL reads: one moment's state, and nothing else.
SNAPSHOT_OPTIONS = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
BUSY_TIMEOUT = 30  #: seconds that SQLite waits for another process
#: Another process may have written: poll at least this often, where commits are not notified.
POLL_INTERVAL = timedelta(milliseconds=200)
#: And where they are, in case a notification was lost.
FALLBACK_POLL = timedelta(seconds=2)


class StoreUnavailableError(XuqiError):
    """The database cannot be used now; the transaction was rolled back."""


class Store:
    """Transactions over the tables. Nothing in them uses the network."""

    def __init__(
        self,
        url: str,
        *,
        clock: Clock,
        cipher: FieldCipher,
        synchronous: Synchronous = Synchronous.FULL,
    ) -> None:
        self.clock = clock
        self.cipher = cipher
        #: is told the number and hash of each new line of the audit trail, once it is there
        self.tell_audit: Callable[[int, bytes, datetime], None] | None = None
        self.engine = _engine(url, synchronous)
        sqlite = self.engine.dialect.name == "sqlite"
        # Python's driver would begin late. One that reads first and writes later could fail
        # half-way: who may write takes the lock at once.
        self._explicit_begin = sqlite
        self._snapshot_options: dict[str, Any] = {} if sqlite else SNAPSHOT_OPTIONS
        # SQLite has one writer. Waiting for our own lock wakes at once; waiting for its is polling.
        self._writer = _WriterLock() if sqlite else nullcontext()
        self._changed = threading.Condition()
        self._changes = 0
        self._for_all = 0  # the last change of which everybody is to know
        self._emitted: dict[str, int] = {}  # the last commit that emitted each kind
        self._name = secrets.token_hex(8)
        self._notifier = (
            None if sqlite else CommitNotifier(self.engine, self._name, self.announce_change)
        )

    @contextmanager
    def transaction(self) -> Iterator[UnitOfWork]:
        """
        A read-write transaction, committed as a whole at the end of the block or not at all.

        Raises:
            ConflictError: another transaction was first; read again and decide again.
            StoreUnavailableError
        """
        with self._writer, self._transaction("BEGIN IMMEDIATE", writes=True) as work:
            yield work
            work.flush()
        if work.audited is not None and self.tell_audit is not None:
            self.tell_audit(*work.audited, work.at)
        self.announce_change(work.emitted_kinds)

    @contextmanager
    def snapshot(self) -> Iterator[UnitOfWork]:
        """
        A read-only transaction that sees one consistent state.

        Raises:
            StoreUnavailableError
        """
        with self._transaction("BEGIN", writes=False, **self._snapshot_options) as work:
            yield work

    @contextmanager
    def _transaction(self, begin: str, *, writes: bool, **how: object) -> Iterator[UnitOfWork]:
        with _translating_errors(), self.engine.connect() as connection:
            if how:
                connection.execution_options(**how)
            with _rejecting_standby(connection, writes=writes), connection.begin():
                if self._explicit_begin:
                    connection.exec_driver_sql(begin)
                now, ran = moment(self.clock)
                yield UnitOfWork(
                    connection, self.cipher, now, self._name, writes=writes, uptime=ran
                )

    def advisory_lock(self, name: str) -> AdvisoryLock:
        """A named lock that one process holds at a time."""
        return advisory_lock(self.engine, name, _translating_errors)

    @property
    def changes(self) -> int:
        """
        A counter of commits: every one of this process, and those of others as they are notified.
        """
        return self._changes

    @property
    def poll_interval(self) -> timedelta:
        """The longest wait for a change, because another process's commit may go unnoticed."""
        return FALLBACK_POLL if self._notifier and self._notifier.hears else POLL_INTERVAL

    def wait_for_change(
        self, seen: int, timeout: timedelta, *, exclude: Collection[str] = ()
    ) -> None:
        """
        Block until a commit after ``seen`` has emitted an event whose kind is not excluded, or
        until the timeout.
        """

        def emitted() -> bool:
            kinds = (at for kind, at in self._emitted.items() if kind not in exclude)
            return max(kinds, default=0) > seen or self._for_all > seen

        with self._changed:
            if self._notifier:
                self._notifier.start()
            self._changed.wait_for(emitted, timeout.total_seconds())

    def announce_change(self, kinds: Collection[str] | None = None) -> None:
        """
        Count a commit and wake the waits for the kinds that it emitted; without kinds, wake all.
        """
        with self._changed:
            self._changes += 1
            if kinds is None:
                self._for_all = self._changes
            self._emitted |= dict.fromkeys(kinds or (), self._changes)
            if kinds is None or kinds:
                self._changed.notify_all()

    def close(self) -> None:
        if self._notifier:
            self._notifier.close()
        self.engine.dispose()


class _WriterLock:
    """Serializes writers; a nested transaction raises instead of deadlocking with itself."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner: int | None = None

    def __enter__(self) -> None:
        if self._owner == threading.get_ident():
            raise RuntimeError("a transaction was started within another one")
        self._lock.acquire()
        self._owner = threading.get_ident()

    def __exit__(self, *_: object) -> None:
        self._owner = None
        self._lock.release()


def store_unavailable(error: sa.exc.DBAPIError) -> StoreUnavailableError:
    """The driver's error about an unusable database, in one line."""
    sentence = str(error.orig).strip().partition("\n")[0]
    return StoreUnavailableError(f"the database does not answer: {sentence}")


@contextmanager
def _translating_errors() -> Iterator[None]:
    """Map driver errors to ConflictError or StoreUnavailableError."""
    try:
        yield
    except sa.exc.IntegrityError as error:
        raise ConflictError(_violated_constraint(error)) from error
    except (sa.exc.OperationalError, sa.exc.InterfaceError) as error:
        if getattr(error.orig, "sqlstate", None) in RETRYABLE_STATES:
            raise ConflictError("another transaction was first") from error
        raise store_unavailable(error) from error
    except sa.exc.DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None)
        if state in IDLE_TIMEOUTS:
            text = "this process was suspended within a transaction, and the database has ended it"
            raise StoreUnavailableError(text) from error
        if state == INSUFFICIENT_PRIVILEGE:
            text = "this login lacks a right to the tables: run deploy/postgresql/roles.sql"
            raise StoreUnavailableError(text) from error
        if state not in SCHEMA_MISMATCH:
            raise
        text = "the tables do not match this program: `xuqi db upgrade`, or run a newer one"
        raise StoreUnavailableError(text) from error
    except sa.exc.TimeoutError as error:
        raise StoreUnavailableError("every connection to the database is in use") from error


@contextmanager
def _rejecting_standby(connection: sa.Connection, *, writes: bool) -> Iterator[None]:
    """
    Drop the connection to a server that refuses writes, so that the next one may reach the primary.
    """
    try:
        yield
    except sa.exc.DBAPIError as error:
        if writes and _is_standby(error.orig):
            connection.invalidate()
            raise StoreUnavailableError("the database takes no changes: a standby") from error
        raise


def _is_standby(sentence: Any) -> bool:  # noqa: ANN401 - psycopg's own
    state = getattr(sentence, "sqlstate", None)
    # Its text is in the server's language; its place in the source is that of settings.
    refused = state == FEATURE_NOT_SUPPORTED and sentence.diag.source_file in {
        "guc.c",
        "variable.c",
    }
    return refused or state == READ_ONLY_TRANSACTION


def _violated_constraint(error: sa.exc.IntegrityError) -> str:
    """Name the constraint only, because PostgreSQL's text contains the row."""
    diagnosis = getattr(error.orig, "diag", None)
    if diagnosis is None:
        return str(error.orig)
    rule = diagnosis.constraint_name or diagnosis.column_name
    return f"{diagnosis.table_name}: {rule}" if rule else str(diagnosis.message_primary)


def _engine(url: str, synchronous: Synchronous) -> sa.Engine:
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite":
        unsaid = {
            name: value for name, value in CONNECT_OPTIONS.items() if name not in parsed.query
        }
        engine = sa.create_engine(
            parsed, hide_parameters=True, pool_pre_ping=True, connect_args=unsaid
        )
        sa.event.listen(engine, "connect", _prepare_postgresql)
        sa.event.listen(engine, "handle_error", _refuse_too_large)
        return engine
    if parsed.database and not parsed.database.startswith((":memory:", "file:")):
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(
        parsed,
        hide_parameters=True,
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT},
    )
    sa.event.listen(engine, "connect", partial(_prepare_sqlite, synchronous))
    sa.event.listen(engine, "handle_error", _refuse_too_large)
    return engine


def _refuse_too_large(context: sa.engine.ExceptionContext) -> None:
    """A number that fits in no column is nobody's, whichever door it came through."""
    original = context.original_exception
    if isinstance(original, OverflowError) or (
        getattr(original, "sqlstate", None) == NUMERIC_VALUE_OUT_OF_RANGE
    ):
        raise NotFoundError(RefusalReason.NO_SUCH_NUMBER) from original


def _prepare_postgresql(connection: Any, _record: object) -> None:  # noqa: ANN401 - psycopg's own
    from psycopg.types.array import ListBinaryDumper  # noqa: PLC0415 - not there beside SQLite

    connection.cursor_factory = _binary_rows(connection.cursor_factory)
    connection.adapters.register_dumper(list, ListBinaryDumper)  # each text in a list is quoted
    # Asked for by a statement: PgBouncer takes no options with the connection.
    connection.execute(SESSION_DEFAULTS)
    connection.execute(UTC_SESSION)
    connection.commit()


def _binary_rows(cursor: Callable[..., Any]) -> Callable[..., Any]:
    """
    A cursor that fetches binary rows: moments and bytes as text would cost both sides a tenth of
    their time.
    """

    def made(*about: object, **how: object) -> Any:  # noqa: ANN401 - psycopg's own
        its = cursor(*about, **how)
        its.format = BINARY_FORMAT
        return its

    return made


def _prepare_sqlite(
    synchronous: Synchronous,
    connection: Any,  # noqa: ANN401 - sqlite3's own
    _record: object,
) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    _enable_wal(connection)
    for pragma in (
        f"synchronous={synchronous}",
        "foreign_keys=ON",
        "recursive_triggers=ON",  # else a REPLACE deletes rows behind an append-only table's back
        "cache_size=-65536",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _enable_wal(connection: Any) -> None:  # noqa: ANN401 - sqlite3's own
    """
    Retry until WAL is on: the first connection converts a new file, and SQLite has no wait for
    that.
    """
    end = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)  # SQLite tells nobody that it is free
        else:
            return
