"""Decides what a transfer does to two accounts: double entry with holds, in whole units."""

from __future__ import annotations

from collections import ChainMap
from dataclasses import dataclass, field

import msgspec

from renewal.ledger.transfers import (
    ALREADY,
    DONE,
    Account,
    Direct,
    Hold,
    LedgerError,
    Leg,
    OtherContentError,
    Post,
    Refund,
    Rejection,
    Transfer,
    TransferAnswer,
    TransferResult,
)

ENDING = {
    "post": ("hold",),
    "void": ("hold",),
    "direct": ("direct", "post"),
    "refund": ("direct", "post"),
}
LONGEST = {"id": 64, "of": 64, "ref": 32}


@dataclass(frozen=True)
class Posting:
    """Known accounts and transfers; a draft changes nothing until it is kept."""

    accounts: ChainMap[str, Account | None] = field(default_factory=ChainMap)
    transfers: ChainMap[str, Transfer | None] = field(default_factory=ChainMap)
    ended: ChainMap[str, Transfer | None] = field(default_factory=ChainMap)  #: by what, by id
    lowest: ChainMap[str, int] = field(default_factory=ChainMap)  #: available so far, by account

    def draft(self) -> Posting:
        return Posting(
            self.accounts.new_child(),
            self.transfers.new_child(),
            self.ended.new_child(),
            self.lowest.new_child(),
        )

    def keep(self, draft: Posting) -> None:
        self.accounts.update(draft.accounts.maps[0])
        self.transfers.update(draft.transfers.maps[0])
        self.ended.update(draft.ended.maps[0])
        self.lowest.update(draft.lowest.maps[0])

    def enter(self, leg: Leg) -> tuple[TransferAnswer, Transfer]:
        """
        Post a leg; a refused one changes no balance.

        Raises:
            LedgerError: nothing has changed.
        """
        asked = self._as_transfer(leg)
        known = self.transfers.get(asked.id)
        if known is not None:
            return _repeated_answer(known, asked), known
        before = self._of(asked)
        ended_by = None if asked.of is None else self.ended.get(asked.of)
        if ended_by is not None and ended_by.asks_the_same_as(asked):
            return ALREADY, ended_by
        why = self._why_refused(asked, before, ended_by)
        if why is Rejection.NONE:
            self._apply(asked, before)
            return DONE, asked
        return self.refuse(asked, why)

    def refuse(self, asked: Transfer, why: Rejection) -> tuple[TransferAnswer, Transfer]:
        refused = msgspec.structs.replace(asked, answer="refused", why=why.value)
        self.transfers[asked.id] = refused
        return TransferAnswer(TransferResult.REFUSED, why), refused

    def _as_transfer(self, leg: Leg) -> Transfer:
        kind, of = type(leg).__name__.lower(), getattr(leg, "of", None)
        _refuse_long(id=leg.id, ref=leg.ref, of=of)
        if isinstance(leg, Hold | Direct):
            debit, credit, amount = leg.debit, leg.credit, leg.amount
        else:
            ended = self.known(of or "")
            debit, credit, amount = ended.debit, ended.credit, ended.amount
            if isinstance(leg, Post) and leg.amount is not None:
                amount = leg.amount
            if isinstance(leg, Refund):
                debit, credit = credit, debit
        self._refuse_nonsense(leg.id, debit, credit, amount)
        return Transfer(
            id=leg.id, kind=kind, debit=debit, credit=credit, amount=amount, of=of, ref=leg.ref
        )

    def _refuse_nonsense(self, name: str, debit: str, credit: str, amount: object) -> None:
        if type(amount) is not int or amount <= 0:  # True is an int to Python, and 1.0 equals 1
            raise LedgerError(f"transfer {name}: {amount!r} is no amount: whole units above zero")
        if debit == credit:
            raise LedgerError(f"transfer {name}: both sides are the account {debit}")
        currencies = {self.account(debit).currency, self.account(credit).currency}
        if len(currencies) > 1:
            raise LedgerError(f"transfer {name}: mixes {' and '.join(sorted(currencies))}")

    def account(self, name: str) -> Account:
        account = self.accounts.get(name)
        if account is None:
            raise LedgerError(f"there is no account {name}: open it first")
        return account

    def known(self, name: str) -> Transfer:
        transfer = self.transfers.get(name)
        if transfer is None:
            raise LedgerError(f"there is no transfer {name}")
        return transfer

    def _of(self, asked: Transfer) -> Transfer | None:
        if asked.of is None:
            return None
        before = self.known(asked.of)
        if before.kind not in ENDING[asked.kind]:
            raise LedgerError(f"transfer {asked.id}: a {asked.kind} cannot be of a {before.kind}")
        return before

    def _why_refused(
        self, asked: Transfer, before: Transfer | None, ended_by: Transfer | None
    ) -> Rejection:
        if before is not None and before.answer != "ok":
            return Rejection.OF_REFUSED
        if ended_by is not None:
            return Rejection.ENDED
        if before is not None and asked.amount > before.amount:
            return Rejection.TOO_MUCH
        if any(not now.may_overdraw and now.available < 0 for now in self._lowered(asked, before)):
            return Rejection.FUNDS
        return Rejection.NONE

    def _lowered(self, asked: Transfer, before: Transfer | None) -> list[Account]:
        changed = self._changed(asked, before)
        return [it for it in changed if it.available < self.account(it.id).available]

    def _changed(self, asked: Transfer, before: Transfer | None) -> tuple[Account, Account]:
        posted = asked.amount if asked.kind in ("post", "direct", "refund") else 0
        pending = asked.amount if asked.kind == "hold" else 0
        if before is not None and before.kind == "hold":
            pending = -before.amount
        debit, credit = self.account(asked.debit), self.account(asked.credit)
        return (
            msgspec.structs.replace(
                debit,
                posted=debit.posted + posted,
                pending_debits=debit.pending_debits + pending,
            ),
            msgspec.structs.replace(
                credit,
                posted=credit.posted - posted,
                pending_credits=credit.pending_credits + pending,
            ),
        )

    def _apply(self, asked: Transfer, before: Transfer | None) -> None:
        for account in self._changed(asked, before):
            self.accounts[account.id] = account
            lowest = self.lowest.get(account.id, account.available)
            self.lowest[account.id] = min(lowest, account.available)
        self.transfers[asked.id] = asked
        if before is not None:
            self.ended[before.id] = asked


def _repeated_answer(known: Transfer, asked: Transfer) -> TransferAnswer:
    if not known.asks_the_same_as(asked):
        raise OtherContentError(f"transfer {asked.id} was asked before with other content")
    return (
        ALREADY
        if known.answer == "ok"
        else TransferAnswer(TransferResult.REFUSED, Rejection(known.why))
    )


def _refuse_long(**texts: str | None) -> None:
    for name, text in texts.items():
        if text is not None and not 0 < len(text) <= LONGEST[name]:
            raise LedgerError(f"{name} {text!r}: must have 1 to {LONGEST[name]} characters")
