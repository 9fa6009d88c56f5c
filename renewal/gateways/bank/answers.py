"""The table of the bank's answers: what each refusal says, and of whom."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from renewal.gateways.answers import Meaning


class BankRefusal(StrEnum):
    """The bank's word for why it declined."""

    FUNDS = "funds"  #: more than the account has available
    ACCOUNT = "account"  #: no such account, or not the one that the hold is on
    AMOUNT = "amount"  #: not whole dollars above zero, or more than was held or debited
    OF = "of"  #: it belongs to nothing that the bank has done
    ENDED = "ended"  #: the hold was captured or voided before
    OTHER_CONTENT = "other content"  #: the id was used for another booking
    BEFORE = "refused before"  #: this id was declined before, and stays declined
    TOLD = "told"  #: a test or the demo has told the bank to decline


@dataclass(frozen=True)
class BankRow:
    code: str
    means: Meaning
    because: str


#: To a booking that was refused: nothing is booked, by the port's promise.
ANSWERS: Final = (
    BankRow(BankRefusal.FUNDS, Meaning.REFUSED, "the customer's account has not so much"),
    BankRow(BankRefusal.ACCOUNT, Meaning.REFUSED, "the customer's account is closed or another's"),
    BankRow(BankRefusal.TOLD, Meaning.REFUSED, "declined by hand"),
    BankRow(BankRefusal.AMOUNT, Meaning.OURS, "the amount comes from our policy"),
    BankRow(BankRefusal.OF, Meaning.OURS, "we name a booking that the bank has not"),
    BankRow(BankRefusal.ENDED, Meaning.OURS, "our books and the bank's differ on the hold"),
    # The first refusal was concluded, or would have been inquired for: so it was ours.
    BankRow(BankRefusal.BEFORE, Meaning.OURS, "we ask anew for what was declined before"),
    BankRow(BankRefusal.OTHER_CONTENT, Meaning.OURS, "we gave one id to two bookings"),
)
_MEANINGS: Final = {row.code: row.means for row in ANSWERS}


def meaning_of(code: str) -> Meaning:
    """
    What a refusal with this code means. One that nobody knows is ours: it must not be held against
    the customer.
    """
    return _MEANINGS.get(code, Meaning.OURS)
