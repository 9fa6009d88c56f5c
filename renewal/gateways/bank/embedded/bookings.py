"""The embedded bank's bookings and what they allow next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal.gateways.bank.answers import BankRefusal
from renewal.gateways.bank.port import Booking, BookingStatus, Operation

if TYPE_CHECKING:
    from collections.abc import Callable

    from renewal.gateways.bank.embedded.database import BankDatabase, RecordedBooking


class Bookings:
    """
    The bank's state: a sum over the bookings it was told of, in their order, kept in its book.
    """

    def __init__(self, book: BankDatabase, opening: Callable[[str], int | None]) -> None:
        self._book = book
        self._opening = opening

    def seen(self, booking_id: str) -> RecordedBooking | None:
        return self._book.seen(booking_id)

    def found(self, booking_id: str) -> BookingStatus:
        seen = self._book.seen(booking_id)
        if seen is None:
            return BookingStatus.UNKNOWN
        return BookingStatus.REFUSED if seen.refused else BookingStatus.DONE

    def balance(self, account: str) -> int | None:
        opening = self._opening(account)
        return None if opening is None else opening + self._book.account(account).moved

    def available(self, account: str) -> int | None:
        opening = self._opening(account)
        if opening is None:
            return None
        there = self._book.account(account)
        return opening + there.moved - there.held

    def why_refused(self, booking: Booking) -> BankRefusal | None:
        """Say why a booking that was never seen is declined, or that it is not."""
        if booking.amount <= 0:
            return BankRefusal.AMOUNT
        available = self.available(booking.account)
        if available is None:
            return BankRefusal.ACCOUNT
        if booking.op in (Operation.HOLD, Operation.DEBIT):
            return BankRefusal.FUNDS if booking.amount > available else None
        return self._why_not_of(booking)

    def _why_not_of(self, booking: Booking) -> BankRefusal | None:
        before = self._book.seen(booking.of or "")
        if before is None or before.refused:
            return BankRefusal.OF
        if before.booking.account != booking.account:
            return BankRefusal.ACCOUNT
        if booking.op is Operation.REFUND:
            return BankRefusal.AMOUNT if booking.amount > before.taken else None
        if before.booking.op is not Operation.HOLD:
            return BankRefusal.OF
        if before.ended:
            return BankRefusal.ENDED
        return BankRefusal.AMOUNT if not _fits(booking, before.booking) else None

    def refuse(self, booking: Booking) -> None:
        self._book.keep(booking, refused=True)

    def do(self, booking: Booking) -> None:
        """
        Book it, whatever ``why_refused`` would say: it is a fact.

        Raises:
            KeyError: it is of a booking that was never seen.
        """
        book, account, amount = self._book, booking.account, booking.amount
        book.keep(booking, refused=False)
        match booking.op:
            case Operation.HOLD:
                book.change(account, held=amount)
            case Operation.DEBIT:
                book.change(account, moved=-amount)
                book.take(booking.id, amount)
            case Operation.CAPTURE:
                hold = self._end(booking)
                book.change(account, moved=-amount)
                book.take(hold, amount)
            case Operation.VOID:
                self._end(booking)
            case Operation.REFUND:
                book.change(account, moved=amount)
                book.take(self._of(booking).id, -amount)

    def _end(self, booking: Booking) -> str:
        hold = self._of(booking)
        self._book.change(hold.account, held=-hold.amount)
        self._book.end(hold.id)
        return hold.id

    def _of(self, booking: Booking) -> Booking:
        before = self._book.seen(booking.of or "")
        if before is None:
            raise KeyError(booking.of)
        return before.booking


def _fits(booking: Booking, hold: Booking) -> bool:
    if booking.op is Operation.VOID:
        return booking.amount == hold.amount
    return booking.amount <= hold.amount
