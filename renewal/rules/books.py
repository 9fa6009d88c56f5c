"""The language of the books: accounts, the legs that are asked for, and their answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - msgspec reads the annotations
from enum import StrEnum

import msgspec

from renewal.errors import XuqiError


class BooksError(XuqiError):
    """
    What was asked makes no sense to any book-keeper; nothing was done.
    """


class OtherContentError(BooksError):
    """
    The id was used before, for something else; nothing was done.
    """


class AccountKind(StrEnum):
    ASSET = "asset"  #: grows by debits
    LIABILITY = "liability"  #: grows by credits, as income does
    INCOME = "income"


class Said(StrEnum):
    DONE = "done"
    ALREADY = "already"  #: it was done before; nothing has changed
    REFUSED = "refused"  #: for good: a new try is a new id


class Why(StrEnum):
    NONE = ""
    FUNDS = "funds"  #: more than is available
    ENDED = "ended"  #: what it is of has ended in another way
    OF_REFUSED = "of refused"  #: what it is of was refused itself
    TOO_MUCH = "too much"  #: more than was held
    CHAIN = "chain"  #: another leg of its chain was refused


@dataclass(frozen=True, slots=True)
class Answer:
    said: Said
    why: Why = Why.NONE

    @property
    def holds(self) -> bool:
        """
        Whether the books now say what was asked, by this request or an earlier one.
        """
        return self.said is not Said.REFUSED

    def must_hold(self) -> None:
        """
        Where a refusal would mean that the books and the world have parted.

        Raises:
            BooksError: it was refused.
        """
        if not self.holds:
            raise BooksError(f"the books refuse what has happened already: {self.why}")


DONE = Answer(Said.DONE)
ALREADY = Answer(Said.ALREADY)


class Leg(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    One transfer that is asked for. ``id`` is the idempotency key; ``ref`` the renewal or payment.
    """

    id: str
    ref: str


class Hold(Leg, frozen=True, kw_only=True):
    """
    Set an amount aside, until it is posted or voided.
    """

    debit: str
    credit: str
    amount: int


class Post(Leg, frozen=True, kw_only=True):
    """
    End a hold by booking it, or a part of it; the rest is set free.
    """

    of: str
    amount: int | None = None


class Void(Leg, frozen=True, kw_only=True):
    """
    End a hold by setting it free.
    """

    of: str


class Direct(Leg, frozen=True, kw_only=True):
    """
    Book at once. With ``of``: it uses up that earlier transfer, which nothing else then may.
    """

    debit: str
    credit: str
    amount: int
    of: str | None = None


class Refund(Leg, frozen=True, kw_only=True):
    """
    Book a posted or direct transfer back, whole.
    """

    of: str


class Account(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    kind: str
    currency: str
    posted: int = 0  #: debits less credits
    pending_debits: int = 0
    pending_credits: int = 0
    may_overdraw: bool

    @property
    def available(self) -> int:
        """
        What can still be taken out; what is held to be taken out counts as gone.
        """
        if self.kind == AccountKind.ASSET:
            return self.posted - self.pending_credits
        return -self.posted - self.pending_debits


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    kind: str  #: hold | post | void | direct | refund
    debit: str
    credit: str
    amount: int
    of: str | None
    ref: str
    answer: str = "ok"  #: ok | refused
    why: str = ""
    at: datetime | None = None  #: once it is on record

    def asks_the_same_as(self, other: Transfer) -> bool:
        return _asked(self) == _asked(other)


def _asked(it: Transfer) -> tuple[object, ...]:
    return (it.kind, it.debit, it.credit, it.amount, it.of, it.ref)
