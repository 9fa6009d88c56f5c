"""The ledger: double entry with holds, append-only, in whole New Taiwan dollars."""

from __future__ import annotations

from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from renewal.db.bulk import bulk_insert
from renewal.db.identity_map import ConflictError, pages
from renewal.db.key_lookup import lookup_by_keys
from renewal.ledger.posting import Posting
from renewal.ledger.transfers import (
    ALREADY,
    DONE,
    Account,
    AccountKind,
    Direct,
    Hold,
    LedgerError,
    Leg,
    Post,
    Refund,
    Rejection,
    Transfer,
    TransferAnswer,
    TransferResult,
    Void,
)
from schema.tables.books import ENDS, accounts, transfers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from renewal.db.unit_of_work import UnitOfWork

CLEARING = "customer clearing"
UNEARNED = "unearned fees"
CA_PAYABLE = "CA payable"
INCOME = "fee income"
REFUNDS = "refunds payable"
SUSPENSE = "suspense"

#: The ledger's own accounts, opened when one of them is first used.
OWN_ACCOUNTS = {
    account.id: account
    for account in (
        Account(id=CLEARING, kind=AccountKind.ASSET.value, currency="TWD", may_overdraw=True),
        Account(id=UNEARNED, kind=AccountKind.LIABILITY.value, currency="TWD", may_overdraw=False),
        Account(
            id=CA_PAYABLE, kind=AccountKind.LIABILITY.value, currency="TWD", may_overdraw=False
        ),
        Account(id=INCOME, kind=AccountKind.INCOME.value, currency="TWD", may_overdraw=False),
        Account(id=REFUNDS, kind=AccountKind.LIABILITY.value, currency="TWD", may_overdraw=False),
        Account(id=SUSPENSE, kind=AccountKind.ASSET.value, currency="TWD", may_overdraw=True),
    )
}

#: Keys of one question: a batch's hold, its end and its payment are asked for at once.
AT_ONCE = 4000

_account_columns = [accounts.c[name] for name in Account.__struct_fields__]
_transfer_columns = [transfers.c[name] for name in Transfer.__struct_fields__]
_accounts = lookup_by_keys(_account_columns, accounts.c.id)
# Two questions, for each has an index of its own; asked as one, with OR, all would be read.
_by_id = lookup_by_keys(_transfer_columns, transfers.c.id)
_that_ended = lookup_by_keys(_transfer_columns, transfers.c.of, ENDS)

_REQUEST_FIELDS = tuple(name for name in Transfer.__struct_fields__ if name != "at")
_asked = attrgetter(*_REQUEST_FIELDS)
_write = bulk_insert(transfers, (*_REQUEST_FIELDS, "at", "nth"))

# By difference, not by version: two transactions on a hot account both count. What is
# left when the lowest point was reached must still have been enough beside the other one.
_after = {
    name: accounts.c[name] + sa.bindparam(f"more_{name}")
    for name in ("posted", "pending_debits", "pending_credits")
}
_available = sa.case(
    (accounts.c.kind == AccountKind.ASSET.value, accounts.c.posted - accounts.c.pending_credits),
    else_=-accounts.c.posted - accounts.c.pending_debits,
)
_move = (
    sa.update(accounts)
    .where(
        accounts.c.id == sa.bindparam("account"),
        sa.or_(accounts.c.may_overdraw, _available >= sa.bindparam("needed")),
    )
    .values(_after)
)


class Ledger:
    """
    Transfers and accounts as one transaction sees and changes them.

    What was loaded is answered from memory, and changes are written by ``flush``, one statement for
    each table. Each transfer has a result: done, already done, or refused for good. Invalid
    requests raise ``LedgerError``.
    """

    def __init__(self, connection: sa.Connection, at: datetime) -> None:
        self._connection = connection
        self._at = at
        self._page = Posting()
        self._read: dict[str, Account] = {}  # as they stand in the table
        self._new: list[Transfer] = []
        self._written = 0

    # -- what is asked

    def hold(self, id: str, *, debit: str, credit: str, amount: int, ref: str) -> TransferAnswer:  # noqa: A002 - its name on record
        return self.chain([Hold(id=id, debit=debit, credit=credit, amount=amount, ref=ref)])

    def post(self, id: str, *, of: str, amount: int | None = None, ref: str) -> TransferAnswer:  # noqa: A002 - its name on record
        return self.chain([Post(id=id, of=of, amount=amount, ref=ref)])

    def void(self, id: str, *, of: str, ref: str) -> TransferAnswer:  # noqa: A002 - its name on record
        return self.chain([Void(id=id, of=of, ref=ref)])

    def direct(
        self,
        id: str,  # noqa: A002 - its name on record
        *,
        debit: str,
        credit: str,
        amount: int,
        ref: str,
        of: str | None = None,
    ) -> TransferAnswer:
        leg = Direct(id=id, debit=debit, credit=credit, amount=amount, ref=ref, of=of)
        return self.chain([leg])

    def refund(self, id: str, *, of: str, ref: str) -> TransferAnswer:  # noqa: A002 - its name on record
        return self.chain([Refund(id=id, of=of, ref=ref)])

    def chain(self, legs: Sequence[Leg]) -> TransferAnswer:
        """
        Do all legs in order, or none: then every new one of them stays refused.

        The result is "already" if each leg was done before.
        """
        self._load_for(legs)
        draft = self._page.draft()
        answers, entered = [], []
        for leg in legs:
            answer, transfer = draft.enter(leg)
            answers.append(answer)
            entered.append(transfer)
        refused = next((it for it in answers if it.result is TransferResult.REFUSED), None)
        if refused is not None:
            self._refuse(entered, first=answers.index(refused))
            return refused
        self._page.keep(draft)
        done = [
            it for it, a in zip(entered, answers, strict=True) if a.result is TransferResult.DONE
        ]
        self._new += done
        return DONE if done else ALREADY

    def _refuse(self, entered: Sequence[Transfer], *, first: int) -> None:
        for nth, transfer in enumerate(entered):
            if self._page.transfers.get(transfer.id) is None:
                why = Rejection(transfer.why) if nth == first else Rejection.CHAIN
                self._new.append(self._page.refuse(transfer, why)[1])

    def open_account(
        self,
        id: str,  # noqa: A002 - its name on record
        kind: AccountKind,
        currency: str = "TWD",
        *,
        may_overdraw: bool = False,
    ) -> TransferAnswer:
        """
        Open an account, once.

        Raises:
            LedgerError: it is open, and of another kind.
        """
        self.load_accounts((id,))
        asked = Account(
            id=id, kind=AccountKind(kind).value, currency=currency, may_overdraw=may_overdraw
        )
        there = self._page.accounts.get(id)
        if there is None:
            self._page.accounts[id] = asked
            return DONE
        if _nature(there) != _nature(asked):
            raise LedgerError(f"the account {id} is open as another kind")
        return ALREADY

    # -- what is known

    def find(self, id: str) -> Transfer | None:  # noqa: A002 - its name on record
        """Return the transfer with that id, also a refused one."""
        self.load_transfers((id,))
        return self._page.transfers[id]

    def ended_by(self, id: str) -> Transfer | None:  # noqa: A002 - its name on record
        """Return the transfer that ended the hold, or used or refunded the transfer."""
        self.load_transfers((id,))
        return self._page.ended[id]

    def account(self, id: str) -> Account:  # noqa: A002 - its name on record
        self.load_accounts((id,))
        return self._page.account(id)

    def preload(self, ids: Iterable[str], account_ids: Iterable[str] = ()) -> None:
        """Read what a batch needs: its transfers, new and earlier, by id, and their accounts."""
        self.load_transfers(ids)
        sides = {
            side for it in self._page.transfers.values() if it for side in (it.debit, it.credit)
        }
        self.load_accounts({*OWN_ACCOUNTS, *sides, *account_ids})

    def load_transfers(self, ids: Iterable[str]) -> None:
        wanted = set(ids) - self._page.transfers.keys()
        self._page.transfers.update(dict.fromkeys(wanted))
        self._page.ended.update(dict.fromkeys(wanted))
        for question in (_by_id, _that_ended):
            for row in self._asked(question, wanted):
                self._remember(Transfer(**row), wanted)

    def _remember(self, transfer: Transfer, wanted: set[str]) -> None:
        if transfer.id in wanted:
            self._page.transfers[transfer.id] = transfer
        if transfer.of in wanted and transfer.answer == "ok":
            self._page.ended[str(transfer.of)] = transfer

    def load_accounts(self, ids: Iterable[str]) -> None:
        wanted = set(ids) - self._page.accounts.keys()
        if wanted & OWN_ACCOUNTS.keys():
            wanted |= OWN_ACCOUNTS.keys() - self._page.accounts.keys()
        found: dict[str, Account] = {}
        found |= {row["id"]: Account(**row) for row in self._asked(_accounts, wanted)}
        self._read |= found
        self._page.accounts.update(
            {name: found.get(name, OWN_ACCOUNTS.get(name)) for name in wanted}
        )

    def _asked(
        self, question: Mapping[str, sa.Select[Any]], keys: Collection[str]
    ) -> Iterator[sa.RowMapping]:
        for page in pages(keys, AT_ONCE):
            asked = question[self._connection.dialect.name]
            yield from self._connection.execute(asked, {"keys": page}).mappings()

    def _load_for(self, legs: Sequence[Leg]) -> None:
        ofs = [str(getattr(leg, "of", None) or leg.id) for leg in legs]
        self.load_transfers([*(leg.id for leg in legs), *ofs])
        earlier = [it for it in map(self._page.transfers.get, ofs) if it is not None]
        self.load_accounts(
            side
            for it in (*legs, *earlier)
            for side in (getattr(it, "debit", None), getattr(it, "credit", None))
            if side is not None
        )

    # -- what is written

    def flush(self) -> None:
        """
        Write the transfers and balances.

        Raises:
            ConflictError: another transaction has changed what this one relied on.
        """
        if self._new or self._opened():
            self._open()
            self._write_transfers()
            self._move_balances()

    def _opened(self) -> list[Account]:
        used = {side for it in self._new for side in (it.debit, it.credit)}
        there = self._page.accounts
        return [
            account
            for name, account in sorted(there.items())
            if account is not None
            and name not in self._read
            and (name in used or name not in OWN_ACCOUNTS)
        ]

    def _open(self) -> None:
        empty = {"posted": 0, "pending_debits": 0, "pending_credits": 0}
        opened = self._opened()
        if opened:
            rows = [msgspec.structs.asdict(account) | empty for account in opened]
            self._connection.execute(sa.insert(accounts), rows)
            self._read |= {row["id"]: Account(**row) for row in rows}

    def _write_transfers(self) -> None:
        # In the order of their ids, so that two transactions never wait for each other.
        rows = [
            (*_asked(transfer), self._at, self._written + nth)
            for nth, transfer in enumerate(self._new)
        ]
        self._written += len(rows)
        self._new = []
        if rows:
            _write.execute(self._connection, sorted(rows, key=itemgetter(0)))

    def _move_balances(self) -> None:
        moves = [self._movement(name) for name in sorted(self._page.lowest)]  # the lock order
        self._page.lowest.clear()
        if moves and self._connection.execute(_move, moves).rowcount != len(moves):
            raise ConflictError("accounts: a balance was changed by another transaction")

    def _movement(self, name: str) -> dict[str, Any]:
        before, now = self._read[name], self._page.account(name)
        self._read[name] = now
        return {
            "account": name,
            "more_posted": now.posted - before.posted,
            "more_pending_debits": now.pending_debits - before.pending_debits,
            "more_pending_credits": now.pending_credits - before.pending_credits,
            "needed": max(0, before.available - self._page.lowest[name]),
        }


def _nature(account: Account) -> tuple[str, str, bool]:
    return (account.kind, account.currency, account.may_overdraw)


def ledger_of(work: UnitOfWork) -> Ledger:
    """The ledger as this transaction sees and changes it."""
    return work.part(Ledger)
