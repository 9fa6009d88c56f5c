"""The port to a core-banking system."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Operation(StrEnum):
    HOLD = "hold"
    CAPTURE = "capture"
    VOID = "void"
    DEBIT = "debit"
    REFUND = "refund"


@dataclass(frozen=True, kw_only=True)
class Booking:
    """One request to the bank. Its id is the idempotency key: the same id is the same booking."""

    id: str
    op: Operation
    account: str
    amount: int  #: whole New Taiwan dollars
    ref: str  #: the renewal's id
    of: str | None = None  #: the hold or debit that a capture, void or refund belongs to


class BookingStatus(StrEnum):
    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"  #: the bank never saw it


class CoreBanking(Protocol):
    def book(self, booking: Booking) -> None:
        """
        Do the booking, once: an id that was done before is answered as done again.

        Raises:
            GatewayUnavailableError: not done; try later.
            GatewayRefusedError: declined; this id stays declined, a new try is a new id. A refusal
                of what we have sent (``answers.Meaning.OURS``) uses up no id: nobody has decided.
            GatewayUnsureError: the answer was lost; ask ``inquire``.
        """
        ...

    def inquire(self, booking_id: str) -> BookingStatus:
        """
        Say what became of a booking; of one that was refused as ours: it was never seen.

        Raises:
            GatewayUnavailableError: the bank cannot be asked now.
        """
        ...
