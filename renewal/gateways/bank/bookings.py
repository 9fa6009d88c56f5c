"""What a bank has booked, and what follows from it for the next booking."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from renewal.gateways.bank.port import Booking, Found, Op

if TYPE_CHECKING:
    from collections.abc import Callable

    from renewal.store.bank_book import BankBook, Seen


class Code(StrEnum):
    """
    The bank's word for why it declined.
    """

    FUNDS = "funds"  #: more than the account has available
    ACCOUNT = "account"  #: no such account, or not the one that the hold is on
    AMOUNT = "amount"  #: not whole dollars above zero, or more than was held or debited
    OF = "of"  #: it belongs to nothing that the bank has done
    ENDED = "ended"  #: the hold was captured or voided before
    OTHER_CONTENT = "other content"  #: the id was used for another booking
    BEFORE = "refused before"  #: this id was declined before, and stays declined
    TOLD = "told"  #: a test or the demo has told the bank to decline


class Bookings:
    """
    The bank's state: a sum over the bookings it was told of, in their order, kept in its book.
    """

    def __init__(self, book: BankBook, opening: Callable[[str], int | None]) -> None:
        self._book = book
        self._opening = opening

    def seen(self, booking_id: str) -> Seen | None:
        return self._book.seen(booking_id)

    def found(self, booking_id: str) -> Found:
        seen = self._book.seen(booking_id)
        if seen is None:
            return Found.UNKNOWN
        return Found.REFUSED if seen.refused else Found.DONE

    def balance(self, account: str) -> int | None:
        opening = self._opening(account)
        return None if opening is None else opening + self._book.account(account).moved

    def available(self, account: str) -> int | None:
        opening = self._opening(account)
        if opening is None:
            return None
        there = self._book.account(account)
        return opening + there.moved - there.held

    def why_refused(self, booking: Booking) -> Code | None:
        """
        Say why a booking that was never seen is declined, or that it is not.
        """
        if booking.amount <= 0:
            return Code.AMOUNT
        available = self.available(booking.account)
        if available is None:
            return Code.ACCOUNT
        if booking.op in (Op.HOLD, Op.DEBIT):
            return Code.FUNDS if booking.amount > available else None
        return self._why_not_of(booking)

    def _why_not_of(self, booking: Booking) -> Code | None:
        before = self._book.seen(booking.of or "")
        if before is None or before.refused:
            return Code.OF
        if before.booking.account != booking.account:
            return Code.ACCOUNT
        if booking.op is Op.REFUND:
            return Code.AMOUNT if booking.amount > before.taken else None
        if before.booking.op is not Op.HOLD:
            return Code.OF
        if before.ended:
            return Code.ENDED
        return Code.AMOUNT if not _fits(booking, before.booking) else None

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
            case Op.HOLD:
                book.change(account, held=amount)
            case Op.DEBIT:
                book.change(account, moved=-amount)
                book.take(booking.id, amount)
            case Op.CAPTURE:
                hold = self._end(booking)
                book.change(account, moved=-amount)
                book.take(hold, amount)
            case Op.VOID:
                self._end(booking)
            case Op.REFUND:
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
    if booking.op is Op.VOID:
        return booking.amount == hold.amount
    return booking.amount <= hold.amount
