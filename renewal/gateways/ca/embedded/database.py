"""The embedded CA's database: one SQLite file."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from renewal.db.private_file import make_private
from renewal.errors import GatewayUnavailableError, XuqiError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Row = tuple[Any, ...]  #: as SQLite gives it; the tables are STRICT
PATIENCE: Final = 10.0  #: seconds to wait for another process that is writing
PAGE: Final = 500

_PAUSE: Final = 0.05  #: seconds
#: One opens at a time: a file that is closed takes with it every lock that this process has
#: on it, and SQLite's would be among them (POSIX, fcntl).
_OPENING: Final = threading.Lock()

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS authority (
    role TEXT PRIMARY KEY,            -- root, issuing, ocsp
    certificate BLOB NOT NULL,
    key BLOB NOT NULL                 -- PKCS#8, encrypted
) STRICT;
CREATE TABLE IF NOT EXISTS fact (     -- what is known once: the salt, the root's CRL
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS certificate (
    id INTEGER PRIMARY KEY,
    serial TEXT NOT NULL UNIQUE,      -- lower-case hex
    request_id TEXT UNIQUE,           -- null: existed before the installation
    spki_sha256 TEXT NOT NULL UNIQUE, -- a key is used once, across all customers
    profile TEXT NOT NULL,
    subject TEXT NOT NULL,            -- RFC 4514
    not_before TEXT NOT NULL,
    not_after TEXT NOT NULL,
    tbs BLOB NOT NULL,                -- reserved: what will be signed, whatever happens
    certificate BLOB,                 -- null: reserved and not yet signed
    state TEXT NOT NULL DEFAULT 'good',
    changed_at TEXT,
    reason TEXT,
    crl_entry BLOB                    -- null: not on the CRL
) STRICT;
CREATE INDEX IF NOT EXISTS certificate_on_crl ON certificate (id) WHERE crl_entry IS NOT NULL;
CREATE TABLE IF NOT EXISTS deed (     -- the history, in the order of the outside ledger
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    op TEXT NOT NULL,
    serial TEXT NOT NULL,
    request_id TEXT,
    line TEXT NOT NULL,               -- JSON
    told INTEGER NOT NULL DEFAULT 0   -- 1: the outside ledger has it
) STRICT;
CREATE INDEX IF NOT EXISTS deed_of_change ON deed (position) WHERE op <> 'issue';
CREATE UNIQUE INDEX IF NOT EXISTS deed_once ON deed (op, request_id);
CREATE INDEX IF NOT EXISTS deed_untold ON deed (position) WHERE told = 0;
CREATE TABLE IF NOT EXISTS crl (
    number INTEGER PRIMARY KEY,
    changes INTEGER NOT NULL,         -- how many changes of state it knows of
    this_update TEXT NOT NULL,
    der BLOB NOT NULL
) STRICT;
"""
_FIELDS: Final = (
    *("id", "serial", "request_id", "spki_sha256", "profile", "subject", "not_before"),
    *("not_after", "tbs", "certificate", "state", "changed_at", "reason"),
)
_COLUMNS: Final = ", ".join(_FIELDS)


@dataclass(frozen=True, kw_only=True)
class CaEntry:
    """One certificate, from its reservation on."""

    id: int = 0  #: given by the book
    serial: str
    request_id: str | None
    spki_sha256: str
    profile: str
    subject: str
    not_before: str
    not_after: str
    tbs: bytes
    certificate: bytes | None = None
    state: str = "good"
    changed_at: str | None = None
    reason: str | None = None

    def is_same_request(self, other: CaEntry) -> bool:
        """Whether both ask for the same certificate; the serial is the CA's own choice."""
        return _asked(self) == _asked(other)


def _asked(entry: CaEntry) -> tuple[str, ...]:
    return (
        entry.spki_sha256,
        entry.profile,
        entry.subject,
        entry.not_before,
        entry.not_after,
    )


@dataclass(frozen=True, kw_only=True)
class LoggedAct:
    position: int
    line: str


@dataclass(frozen=True, kw_only=True)
class StoredCrl:
    number: int
    changes: int
    this_update: datetime
    der: bytes


class CaDatabase:
    """Opened by several threads and processes at once; one writes at a time."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            XuqiError: the file is no such book; the text names it.
            GatewayUnavailableError: another process holds it for too long.
        """
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = threading.RLock()
        with _OPENING:
            make_private(path)
            self._db = sqlite3.connect(
                path, timeout=PATIENCE, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare()
            except sqlite3.DatabaseError as error:
                self._db.close()
                raise XuqiError(f"{path} cannot be opened as the CA's book: {error}") from error
            except XuqiError:
                self._db.close()
                raise

    def _prepare(self) -> None:
        # Who changes the journal of a new file is not kept waiting by SQLite, as everybody
        # else is, but told that it is locked: so the waiting is done here.
        for _ in range(int(PATIENCE / _PAUSE) + 1):
            with suppress(sqlite3.OperationalError):
                self._db.execute("PRAGMA journal_mode = WAL")
                break
            time.sleep(_PAUSE)
        else:
            raise GatewayUnavailableError("the CA's book is locked by another process")
        self._make_tables()

    def _make_tables(self) -> None:
        # In one transaction, so that two processes that open a new book do not meet halfway.
        with self.work():
            for statement in _TABLES.split(";"):
                self._db.execute(statement)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def work(self, *, survives_power_cut: bool = True) -> Iterator[None]:
        """
        Keep everything written within, or nothing. May be nested: the outermost one decides.

        Without ``survives_power_cut`` a kill is survived still, and the disk is not waited for.

        Raises:
            GatewayUnavailableError: another process holds the book too long, or the disk is full.
        """
        with self._lock:
            if self._db.in_transaction:
                yield
                return
            try:
                self._db.execute(
                    f"PRAGMA synchronous = {'FULL' if survives_power_cut else 'NORMAL'}"
                )
                self._db.execute("BEGIN IMMEDIATE")
                with self._db:
                    yield
            except sqlite3.OperationalError as error:
                raise GatewayUnavailableError(
                    f"the CA's book cannot be written: {error}"
                ) from error

    # -- the CA itself

    def authority(self, role: str) -> tuple[bytes, bytes] | None:
        """Return the certificate and the encrypted key of a role."""
        row = self._one("SELECT certificate, key FROM authority WHERE role = ?", role)
        return None if row is None else (bytes(row[0]), bytes(row[1]))

    def keep_authority(self, role: str, certificate: bytes, key: bytes) -> None:
        self._write("INSERT OR REPLACE INTO authority VALUES (?, ?, ?)", role, certificate, key)

    def fact(self, name: str) -> bytes | None:
        row = self._one("SELECT value FROM fact WHERE name = ?", name)
        return None if row is None else bytes(row[0])

    def keep_fact(self, name: str, value: bytes) -> None:
        self._write(
            "INSERT OR REPLACE INTO fact VALUES (?, ?)",
            name,
            value,
        )

    # -- certificates

    def by_request(self, request_id: str) -> CaEntry | None:
        return self._entry("request_id", request_id)

    def by_key(self, spki_sha256: str) -> CaEntry | None:
        return self._entry("spki_sha256", spki_sha256)

    def by_serial(self, serial: str) -> CaEntry | None:
        return self._entry("serial", serial)

    def _entry(self, column: str, value: str) -> CaEntry | None:
        row = self._one(f"SELECT {_COLUMNS} FROM certificate WHERE {column} = ?", value)  # noqa: S608 -- names of our own # nosec B608
        return None if row is None else _as_entry(row)

    def reserve(self, entry: CaEntry) -> None:
        self._write(
            "INSERT INTO certificate (serial, request_id, spki_sha256, profile, subject,"
            " not_before, not_after, tbs) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            entry.serial,
            entry.request_id,
            *_asked(entry),
            entry.tbs,
        )

    def complete(self, serial: str, certificate: bytes) -> bool:
        """Keep the signed certificate; return whether this was the first time."""
        return self._write(
            "UPDATE certificate SET certificate = ? WHERE serial = ? AND certificate IS NULL",
            certificate,
            serial,
        )

    def change(
        self, serial: str, *, state: str, at: str, reason: str | None, crl_entry: bytes | None
    ) -> None:
        self._write(
            "UPDATE certificate SET state = ?, changed_at = ?, reason = ?, crl_entry = ?"
            " WHERE serial = ?",
            state,
            at,
            reason,
            crl_entry,
            serial,
        )

    def certificates(self) -> Iterator[CaEntry]:
        """Walk over the signed ones in the order of their reservation, a page at a time."""
        last = 0
        while page := self._all(
            f"SELECT {_COLUMNS} FROM certificate"  # noqa: S608 -- names of our own # nosec B608
            " WHERE id > ? AND certificate IS NOT NULL ORDER BY id LIMIT ?",
            last,
            PAGE,
        ):
            yield from map(_as_entry, page)
            last = page[-1][0]

    # -- the history

    def keep_deed(self, *, op: str, serial: str, request_id: str | None, line: str) -> None:
        self._write(
            "INSERT INTO deed (op, serial, request_id, line) VALUES (?, ?, ?, ?)",
            op,
            serial,
            request_id,
            line,
        )

    def deed_serial(self, op: str, request_id: str) -> str | None:
        """Return the serial of the deed that was done under this id."""
        row = self._one("SELECT serial FROM deed WHERE op = ? AND request_id = ?", op, request_id)
        return None if row is None else str(row[0])

    def untold(self) -> list[LoggedAct]:
        rows = self._all("SELECT position, line FROM deed WHERE told = 0 ORDER BY position")
        return [LoggedAct(position=position, line=line) for position, line in rows]

    def mark_told(self) -> None:
        """Note that the outside ledger has every deed."""
        self._write("UPDATE deed SET told = 1 WHERE told = 0")

    # -- the CRL

    def changes(self) -> int:
        """Count the changes of state so far, in a number that only grows."""
        row = self._one("SELECT coalesce(max(position), 0) FROM deed WHERE op <> 'issue'")
        return 0 if row is None else int(row[0])

    def crl_entries(self, until: str) -> list[bytes]:
        """The entries of what has not changed since then."""
        return [
            row[0]
            for row in self._all(
                "SELECT crl_entry FROM certificate"
                " WHERE crl_entry IS NOT NULL AND changed_at <= ? ORDER BY id",
                until,
            )
        ]

    def newest_on_crl(self, since: str) -> list[tuple[str, str]]:
        """Serial and reason of what has come on the list since then."""
        return [
            (row[0], row[1])
            for row in self._all(
                "SELECT serial, reason FROM certificate"
                " WHERE crl_entry IS NOT NULL AND changed_at > ? ORDER BY id",
                since,
            )
        ]

    def crl(self) -> StoredCrl | None:
        row = self._one("SELECT * FROM crl ORDER BY number DESC LIMIT 1")
        if row is None:
            return None
        number, changes, this_update, der = row
        return StoredCrl(
            number=number,
            changes=changes,
            this_update=datetime.fromisoformat(this_update),
            der=bytes(der),
        )

    def keep_crl(self, crl: StoredCrl) -> None:
        """Keep the newest one only: an older CRL says nothing that the history does not."""
        self._write("DELETE FROM crl")
        self._write(
            "INSERT INTO crl VALUES (?, ?, ?, ?)",
            crl.number,
            crl.changes,
            crl.this_update.isoformat(),
            crl.der,
        )

    # -- SQL

    def _one(self, statement: str, *values: object) -> Row | None:
        with self._lock:
            row: Row | None = self._db.execute(statement, values).fetchone()
            return row

    def _all(self, statement: str, *values: object) -> list[Row]:
        with self._lock:
            return self._db.execute(statement, values).fetchall()

    def _write(self, statement: str, *values: object) -> bool:
        with self._lock:
            return self._db.execute(statement, values).rowcount > 0


def _as_entry(row: Row) -> CaEntry:
    return CaEntry(**dict(zip(_FIELDS, row, strict=True)))
