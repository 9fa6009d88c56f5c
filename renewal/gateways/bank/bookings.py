"""What a bank has booked, and what follows from it for the next booking."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from renewal.gateways.bank.port import Booking, Found, Op

if TYPE_CHECKING:
    from collections.abc import Callable


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


@dataclass(frozen=True, slots=True)
class Seen:
    booking: Booking
    refused: bool


class Bookings:
    """
    The bank's state: a sum over the bookings it was told of, in their order.
    """

    def __init__(self, opening: Callable[[str], int | None]) -> None:
        self._opening = opening
        self._seen: dict[str, Seen] = {}
        self._moved: Counter[str] = Counter()  # by account: paid back less taken
        self._held: Counter[str] = Counter()  # by account
        self._ended: set[str] = set()  # holds
        self._taken: Counter[str] = Counter()  # by hold or debit: what a refund may give back

    def seen(self, booking_id: str) -> Seen | None:
        return self._seen.get(booking_id)

    def found(self, booking_id: str) -> Found:
        seen = self._seen.get(booking_id)
        if seen is None:
            return Found.UNKNOWN
        return Found.REFUSED if seen.refused else Found.DONE

    def balance(self, account: str) -> int | None:
        opening = self._opening(account)
        return None if opening is None else opening + self._moved[account]

    def available(self, account: str) -> int | None:
        balance = self.balance(account)
        return None if balance is None else balance - self._held[account]

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
        before = self._seen.get(booking.of or "")
        if before is None or before.refused:
            return Code.OF
        if before.booking.account != booking.account:
            return Code.ACCOUNT
        if booking.op is Op.REFUND:
            return Code.AMOUNT if booking.amount > self._taken[before.booking.id] else None
        if before.booking.op is not Op.HOLD:
            return Code.OF
        if before.booking.id in self._ended:
            return Code.ENDED
        return Code.AMOUNT if not _fits(booking, before.booking) else None

    def refuse(self, booking: Booking) -> None:
        self._seen.setdefault(booking.id, Seen(booking, refused=True))

    def do(self, booking: Booking) -> None:
        """
        Book it, whatever ``why_refused`` would say: it is a fact.

        Raises:
            KeyError: it is of a booking that was never seen.
        """
        account, amount = booking.account, booking.amount
        match booking.op:
            case Op.HOLD:
                self._held[account] += amount
            case Op.DEBIT:
                self._take(booking, booking.id)
            case Op.CAPTURE:
                self._end(booking)
                self._take(booking, booking.of or "")
            case Op.VOID:
                self._end(booking)
            case Op.REFUND:
                self._moved[account] += amount
                self._taken[booking.of or ""] -= amount
        self._seen[booking.id] = Seen(booking, refused=False)

    def _take(self, booking: Booking, name: str) -> None:
        self._moved[booking.account] -= booking.amount
        self._taken[name] += booking.amount

    def _end(self, booking: Booking) -> None:
        hold = self._seen[booking.of or ""].booking
        self._held[hold.account] -= hold.amount
        self._ended.add(hold.id)


def _fits(booking: Booking, hold: Booking) -> bool:
    if booking.op is Op.VOID:
        return booking.amount == hold.amount
    return booking.amount <= hold.amount
