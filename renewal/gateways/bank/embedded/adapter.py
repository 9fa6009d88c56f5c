"""An embedded core-banking system whose state follows from its activity log."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from datetime import datetime  # noqa: TC003 - msgspec reads the annotation
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from renewal.errors import (
    GatewayRefusedError,
    GatewayUnavailableError,
    GatewayUnsureError,
    XuqiError,
)
from renewal.gateways.activity_log import ActivityLog
from renewal.gateways.address import GatewayAddressError
from renewal.gateways.answers import Meaning
from renewal.gateways.bank.answers import BankRefusal, meaning_of
from renewal.gateways.bank.embedded.bookings import Bookings
from renewal.gateways.bank.embedded.database import BankDatabase, ReplayPosition
from renewal.gateways.bank.port import Booking, BookingStatus, Operation
from schema.reasons import SettingReason

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from urllib.parse import SplitResult

    from renewal.clock import Clock
    from renewal.gateways.address import Surroundings

Opening = Callable[[str], int | None] | Mapping[str, int]
#: For tests and the demo: what goes wrong with a booking.
Fault = Callable[[Booking], Literal["unavailable", "lost", "refused"] | None]


#: Every account starts with this, in whole New Taiwan dollars.
OPENING_BALANCE = 100_000


class BankFileError(XuqiError):
    """
    A line of the bank's ledger is not one that it wrote; the text names the file and the line.
    """


READ_CHUNK = 1 << 20  #: bytes
LISTED = 500  #: bookings at once
MOST = 10**12  #: dollars of one booking: their sums stay within SQLite's 64 bits


class _Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    op: Operation
    id: str
    account: str
    amount: Annotated[int, msgspec.Meta(ge=-MOST, le=MOST)]
    ref: str
    of: str | None
    answer: Literal["ok", "refused", "lost", "duplicate"]


_read = msgspec.json.Decoder(_Line)


def nothing_wrong(_: Booking) -> None:
    """Every booking meets a healthy bank."""


def never() -> bool:
    return False


class EmbeddedBank:
    """
    One JSON line a booking: ``at, op, id, account, amount, ref, of, answer``.

    ``answer`` is ``ok``, ``refused``, ``lost`` (done, and nobody heard of it) or
    ``duplicate`` (an id asked again: nothing has changed, and the caller hears ok).
    Several processes may share the file: each booking reads on to the file's end and
    writes its line under one lock. Safe to use from several threads.

    What was read is kept in a book beside the file (``bank.jsonl``: ``bank.db``), so that nobody
    reads it again or holds it in memory. The ledger is the truth: a book that is lost is made
    anew from it.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        opening: Opening,
        fault: Fault = nothing_wrong,
        closed: Callable[[], bool] = never,
    ) -> None:
        self._path = path
        self._ledger = ActivityLog(path, clock)
        self._file = os.open(path, os.O_RDONLY)
        self._thread = threading.Lock()
        self._fault = fault
        self._closed = closed
        opened = opening.get if isinstance(opening, Mapping) else opening
        with self._alone():
            self._book = BankDatabase(path.with_suffix(".db"))
            self._bookings = Bookings(self._book, opened)
        try:
            with self._alone():
                self._begin()
        except BankFileError:
            self.close()
            raise

    def close(self) -> None:
        self._book.close()
        self._ledger.close()
        os.close(self._file)

    def listed(self) -> Iterator[tuple[str, str]]:
        """The ids and references of the bookings that were done: no part of the port."""
        after = ""
        while True:
            with self._up_to_date():
                page = self._book.numbered(after, LISTED)
            yield from ((one, ref) for one, ref, refused in page if not refused)
            if len(page) < LISTED:
                return
            after = page[-1][0]

    def book(self, booking: Booking) -> None:
        fault = self._fault(booking)
        if fault == "unavailable" or self._closed():
            raise GatewayUnavailableError("the bank is closed")
        with self._up_to_date():
            code = self._answer(booking, fault)
        if fault == "lost":
            raise GatewayUnsureError(f"booking {booking.id}: the bank's answer was lost")
        if code is not None:
            raise GatewayRefusedError(f"booking {booking.id}: declined: {code}", code=code)

    def inquire(self, booking_id: str) -> BookingStatus:
        if self._closed():
            raise GatewayUnavailableError("the bank is closed")
        with self._up_to_date():
            return self._bookings.found(booking_id)

    def balance(self, account: str) -> int:
        """What is on the account, in whole dollars; what is held is still on it."""
        with self._up_to_date():
            return _exists(self._bookings.balance(account))

    def available(self, account: str) -> int:
        """What is on the account and not held, in whole dollars."""
        with self._up_to_date():
            return _exists(self._bookings.available(account))

    def _answer(self, booking: Booking, fault: str | None) -> BankRefusal | None:
        if type(booking.amount) is not int:  # True is an int to Python, and no line could say 1.5
            return BankRefusal.AMOUNT
        if abs(booking.amount) > MOST:
            return BankRefusal.AMOUNT  # no line: the book could not hold it
        seen = self._bookings.seen(booking.id)
        if seen is not None and seen.booking != booking:
            return BankRefusal.OTHER_CONTENT  # no line: it would speak for the other booking's id
        if seen is not None and not seen.refused:
            self._write(booking, "duplicate")
            return None
        code = self._why_refused(booking, fault) if seen is None else BankRefusal.BEFORE
        if code not in {None, BankRefusal.BEFORE} and meaning_of(code or "") is Meaning.OURS:
            return code  # no line: once it is mended, the same id may be booked
        done = "lost" if fault == "lost" else "ok"
        self._write(booking, done if code is None else "refused")
        return code

    def _why_refused(self, booking: Booking, fault: str | None) -> BankRefusal | None:
        return BankRefusal.TOLD if fault == "refused" else self._bookings.why_refused(booking)

    def _write(self, booking: Booking, answer: str) -> None:
        try:
            self._ledger.append(
                op=booking.op.value,
                id=booking.id,
                account=booking.account,
                amount=booking.amount,
                ref=booking.ref,
                of=booking.of,
                answer=answer,
            )
        except OSError as error:
            sentence = f"the bank's ledger cannot be written: {error.strerror}"
            raise GatewayUnavailableError(sentence) from error

    @contextmanager
    def _up_to_date(self) -> Iterator[None]:
        with self._alone():
            self._read_on()
            yield

    @contextmanager
    def _alone(self) -> Iterator[None]:
        # flock holds between processes, not between threads that share an open file.
        with self._thread:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def _begin(self) -> None:
        """Read on from where the book ends; read all anew if it is not this ledger's book."""
        read = self._book.position()
        if os.pread(self._file, len(read.last), read.offset - len(read.last)) != read.last:
            with self._book.work():
                self._book.forget()
        self._read_on()

    def _read_on(self) -> None:
        size, position = os.fstat(self._file).st_size, self._book.position()
        if size < position.offset:
            raise BankFileError(f"{self._path}: is shorter than what was read of it")
        while position.offset < size:
            news = os.pread(self._file, READ_CHUNK, position.offset)
            whole = news[: news.rfind(b"\n") + 1] or news
            with self._book.work():
                for raw in whole.splitlines(keepends=True):
                    self._take(raw, position.lines + 1)
                    position = ReplayPosition(position.offset + len(raw), position.lines + 1, raw)
                self._book.move_to(position)

    def _take(self, raw: bytes, number: int) -> None:
        if not raw.endswith(b"\n"):
            raise BankFileError(f"{self._path}, line {number}: is cut off")
        try:
            line = _read.decode(raw)
            self._replay(line)
        except (msgspec.DecodeError, KeyError) as error:
            # The text of the line is not repeated: it may hold a customer's account.
            raise BankFileError(
                f"{self._path}, line {number}: is not a line of the bank's ledger"
            ) from error

    def _replay(self, line: _Line) -> None:
        booking = Booking(
            id=line.id,
            op=line.op,
            account=line.account,
            amount=line.amount,
            ref=line.ref,
            of=line.of,
        )
        if line.answer in ("ok", "lost"):
            self._bookings.do(booking)
        elif line.answer == "refused":
            self._bookings.refuse(booking)


def _exists(amount: int | None) -> int:
    if amount is None:
        raise GatewayRefusedError("there is no such account", code=BankRefusal.ACCOUNT)
    return amount


def from_url(url: SplitResult, around: Surroundings) -> EmbeddedBank:
    """
    ``embedded:``, a bank in this installation's folder.

    Raises:
        GatewayAddressError: there is more to the address.
    """
    if url.geturl() != "embedded:":
        raise GatewayAddressError(SettingReason.NO_CORE_BANKING)
    return EmbeddedBank(
        around.activity("bank"), around.clock, opening=lambda _account: OPENING_BALANCE
    )
