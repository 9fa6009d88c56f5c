"""The embedded bank's database: one SQLite file derived from its activity log."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, Final

from renewal.db.private_file import make_private
from renewal.errors import GatewayUnavailableError, XuqiError
from renewal.gateways.bank.port import Booking, Operation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BankRow = tuple[Any, ...]  #: as SQLite gives it; the tables are STRICT

_ANEW: Final = "without the file it is made anew from the ledger beside it"
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS place (    -- how far the ledger has been read
    only INTEGER PRIMARY KEY CHECK (only = 1),
    offset INTEGER NOT NULL,          -- bytes
    lines INTEGER NOT NULL,
    last BLOB NOT NULL                -- the last line that was read
) STRICT;
CREATE TABLE IF NOT EXISTS booking (
    id TEXT PRIMARY KEY,
    op TEXT NOT NULL,
    account TEXT NOT NULL,
    amount INTEGER NOT NULL,
    ref TEXT NOT NULL,
    of TEXT,
    refused INTEGER NOT NULL,
    ended INTEGER NOT NULL,           -- 1: a hold that was captured or voided
    taken INTEGER NOT NULL            -- by a hold or debit: what a refund may give back
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS account (
    name TEXT PRIMARY KEY,
    moved INTEGER NOT NULL,           -- paid back less taken
    held INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""


@dataclass(frozen=True)
class ReplayPosition:
    """The end of what has been read of the ledger."""

    offset: int = 0  #: bytes
    lines: int = 0
    last: bytes = b""  #: the last line of it


@dataclass(frozen=True)
class BankAccount:
    """What has changed on an account since its opening, in whole dollars."""

    moved: int = 0  #: paid back less taken
    held: int = 0


@dataclass(frozen=True, kw_only=True)
class RecordedBooking:
    """A booking that the bank was asked for, and what has become of it."""

    booking: Booking
    refused: bool
    ended: bool = False  #: a hold that was captured or voided
    taken: int = 0  #: by a hold or debit: what a refund may give back


class BankDatabase:
    """
    Whoever uses it keeps all others out meanwhile, in this process and in others.

    A power cut may take its last changes, and a kill those since ``work`` began: they are in the
    ledger, which is read again from ``place`` on. Whatever is asked of a book that is full, away
    or damaged ends in ``GatewayUnavailableError``.
    """

    def __init__(self, path: Path) -> None:
        """
        Raises:
            XuqiError: the file is no such book; the text names it.
        """
        make_private(path)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(_TABLES)
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise XuqiError(
                f"{path} cannot be opened as the bank's book: {error}; {_ANEW}"
            ) from error

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def work(self) -> Iterator[None]:
        """
        Keep everything written within, or nothing.

        Raises:
            GatewayUnavailableError: the book cannot be used now; nothing was kept.
        """
        with _named():
            self._db.execute("BEGIN IMMEDIATE")
            with self._db:
                yield

    def position(self) -> ReplayPosition:
        row = self._one("SELECT offset, lines, last FROM place")
        return ReplayPosition() if row is None else ReplayPosition(*row)

    def move_to(self, position: ReplayPosition) -> None:
        self._db.execute("INSERT OR REPLACE INTO place VALUES (1, ?, ?, ?)", astuple(position))

    def forget(self) -> None:
        """Be as new."""
        for everything in ("DELETE FROM place", "DELETE FROM booking", "DELETE FROM account"):
            self._db.execute(everything)

    def seen(self, booking_id: str) -> RecordedBooking | None:
        row = self._one("SELECT * FROM booking WHERE id = ?", booking_id)
        if row is None:
            return None
        name, op, account, amount, ref, of, refused, ended, taken = row
        booking = Booking(id=name, op=Operation(op), account=account, amount=amount, ref=ref, of=of)
        return RecordedBooking(
            booking=booking, refused=bool(refused), ended=bool(ended), taken=taken
        )

    def numbered(self, after: str, at_most: int) -> list[tuple[str, str, bool]]:
        """A page of bookings behind an id: id, reference and whether it was refused."""
        query = "SELECT id, ref, refused FROM booking WHERE id > ? ORDER BY id LIMIT ?"
        with _named():
            return [(i, r, bool(no)) for i, r, no in self._db.execute(query, (after, at_most))]

    def keep(self, booking: Booking, *, refused: bool) -> None:
        """Keep a booking; what is kept under its id already stays."""
        self._db.execute(
            "INSERT OR IGNORE INTO booking VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0)",
            (*astuple(booking), refused),
        )

    def end(self, hold: str) -> None:
        self._db.execute("UPDATE booking SET ended = 1 WHERE id = ?", (hold,))

    def take(self, name: str, amount: int) -> None:
        """Take so much by this hold or debit; a negative amount is given back."""
        self._db.execute("UPDATE booking SET taken = taken + ? WHERE id = ?", (amount, name))

    def account(self, name: str) -> BankAccount:
        row = self._one("SELECT moved, held FROM account WHERE name = ?", name)
        return BankAccount() if row is None else BankAccount(*row)

    def change(self, account: str, *, moved: int = 0, held: int = 0) -> None:
        self._db.execute(
            "INSERT INTO account VALUES (?, ?, ?) ON CONFLICT (name)"
            " DO UPDATE SET moved = moved + excluded.moved, held = held + excluded.held",
            (account, moved, held),
        )

    def _one(self, statement: str, *values: object) -> BankRow | None:
        with _named():
            row: BankRow | None = self._db.execute(statement, values).fetchone()
        return row


@contextmanager
def _named() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise GatewayUnavailableError(f"the bank's book cannot be used: {error}") from error
    except sqlite3.ProgrammingError:
        raise  # ours: used after it was closed
    except sqlite3.DatabaseError as error:
        raise GatewayUnavailableError(
            f"the bank's book is damaged: {error}; {_ANEW}, once no process has it open"
        ) from error
