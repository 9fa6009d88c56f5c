"""The types of the ledger: accounts, requested legs, transfers and their results."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - msgspec reads the annotations
from enum import StrEnum

import msgspec

from renewal.errors import XuqiError


class LedgerError(XuqiError):
    """An invalid request to the ledger; nothing was done."""


class OtherContentError(LedgerError):
    """The id was used before for a different transfer; nothing was done."""


class AccountKind(StrEnum):
    ASSET = "asset"  #: grows by debits
    LIABILITY = "liability"  #: grows by credits, as income does
    INCOME = "income"


class TransferResult(StrEnum):
    DONE = "done"
    ALREADY = "already"  #: it was done before; nothing has changed
    REFUSED = "refused"  #: for good: a new try is a new id


class Rejection(StrEnum):
    NONE = ""
    FUNDS = "funds"  #: more than is available
    ENDED = "ended"  #: what it is of has ended in another way
    OF_REFUSED = "of refused"  #: what it is of was refused itself
    TOO_MUCH = "too much"  #: more than was held
    CHAIN = "chain"  #: another leg of its chain was refused


@dataclass(frozen=True, slots=True)
class TransferAnswer:
    result: TransferResult
    why: Rejection = Rejection.NONE

    @property
    def holds(self) -> bool:
        """Whether the ledger now has what was asked, by this request or an earlier one."""
        return self.result is not TransferResult.REFUSED

    def must_hold(self) -> None:
        """
        Raise where a refusal would mean that the ledger and the bank disagree.

        Raises:
            LedgerError: it was refused.
        """
        if not self.holds:
            raise LedgerError(f"the ledger rejects what the bank has already done: {self.why}")


DONE = TransferAnswer(TransferResult.DONE)
ALREADY = TransferAnswer(TransferResult.ALREADY)


class Leg(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One requested transfer. ``id`` is the idempotency key; ``ref`` the renewal or payment."""

    id: str
    ref: str


class Hold(Leg, frozen=True, kw_only=True):
    """Reserve an amount until it is posted or voided."""

    debit: str
    credit: str
    amount: int


class Post(Leg, frozen=True, kw_only=True):
    """End a hold by posting it or a part of it; the rest is released."""

    of: str
    amount: int | None = None


class Void(Leg, frozen=True, kw_only=True):
    """End a hold by releasing it."""

    of: str


class Direct(Leg, frozen=True, kw_only=True):
    """Post at once. With ``of``: it uses up that earlier transfer, which nothing else then may."""

    debit: str
    credit: str
    amount: int
    of: str | None = None


class Refund(Leg, frozen=True, kw_only=True):
    """Post a posted or direct transfer back, whole."""

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
        """What can still be taken out; an amount held to be taken out counts as gone."""
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
        return _request_of(self) == _request_of(other)


def _request_of(it: Transfer) -> tuple[object, ...]:
    return (it.kind, it.debit, it.credit, it.amount, it.of, it.ref)
