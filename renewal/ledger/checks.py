"""Recomputes balances from the transfers by queries of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from renewal.ledger.transfers import Transfer
from schema.tables.books import accounts, transfers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from renewal.db.unit_of_work import UnitOfWork

_t = transfers.c
_ok = _t.answer == "ok"
_end = transfers.alias("ending").c
_hold = transfers.alias("held").c
_ended = sa.exists().where(_end.of == _t.id, _end.kind.in_(("post", "void")), _end.answer == "ok")
_booked = sa.and_(_ok, _t.kind.in_(("post", "direct", "refund")))
_held = sa.and_(_ok, _t.kind == "hold", ~_ended)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """An inconsistency: the account or transfer, and what is wrong."""

    where: str
    what: str


@dataclass(frozen=True, kw_only=True)
class Balance:
    """Debits less credits, and the amounts held on each side; whole units."""

    posted: int = 0
    pending_debits: int = 0
    pending_credits: int = 0


def balances(work: UnitOfWork) -> dict[str, Balance]:
    """The stored balances, by account."""
    query = sa.select(
        accounts.c.id, accounts.c.posted, accounts.c.pending_debits, accounts.c.pending_credits
    )
    return {
        name: Balance(posted=posted, pending_debits=debits, pending_credits=credits_)
        for name, posted, debits, credits_ in work.connection.execute(query)
    }


def rebuilt(work: UnitOfWork) -> dict[str, Balance]:
    """The balances that follow from the transfers alone, by account."""
    debits, credits_ = _sums(work, _t.debit, _booked), _sums(work, _t.credit, _booked)
    held_debits, held_credits = _sums(work, _t.debit, _held), _sums(work, _t.credit, _held)
    return {
        name: Balance(
            posted=debits.get(name, 0) - credits_.get(name, 0),
            pending_debits=held_debits.get(name, 0),
            pending_credits=held_credits.get(name, 0),
        )
        for name in work.connection.scalars(sa.select(accounts.c.id))
    }


def recompute(work: UnitOfWork) -> list[Difference]:
    """Every difference between stored balances and transfers; none if all is well."""
    return [*_off_the_journal(work), *_not_zero(work), *_ended_wrongly(work), *_mixed(work)]


def pending_holds(work: UnitOfWork) -> list[Transfer]:
    """Open holds with the renewal each is for, oldest first."""
    columns = [transfers.c[name] for name in Transfer.__struct_fields__]
    query = sa.select(*columns).where(_held).order_by(_t.at, _t.nth)
    return [Transfer(**row) for row in work.connection.execute(query).mappings()]


def _sums(work: UnitOfWork, side: sa.Column[Any], where: sa.ColumnElement[bool]) -> dict[str, int]:
    query = sa.select(side, sa.func.sum(_t.amount)).where(where).group_by(side)
    return {name: int(total) for name, total in work.connection.execute(query)}


def _off_the_journal(work: UnitOfWork) -> Iterator[Difference]:
    journal = rebuilt(work)
    for name, balance in balances(work).items():
        if balance != journal[name]:
            yield Difference(where=name, what=f"balance {balance}, journal {journal[name]}")


def _not_zero(work: UnitOfWork) -> Iterator[Difference]:
    total = sa.func.sum(accounts.c.posted)
    held = sa.func.sum(accounts.c.pending_debits - accounts.c.pending_credits)
    query = sa.select(accounts.c.currency, total, held).group_by(accounts.c.currency)
    for currency, posted, pending in work.connection.execute(query):
        if posted or pending:
            yield Difference(where=currency, what=f"sums to {posted}, held {pending}, not zero")


def _ended_wrongly(work: UnitOfWork) -> Iterator[Difference]:
    twice = (
        sa.select(_t.of, sa.func.count())
        .where(_ok, _t.of.is_not(None))
        .group_by(_t.of)
        .having(sa.func.count() > 1)
    )
    for name, count in work.connection.execute(twice):
        yield Difference(where=name, what=f"ended {count} times")
    same = sa.and_(
        _hold.debit == _end.debit, _hold.credit == _end.credit, _hold.amount >= _end.amount
    )
    sound = sa.and_(_hold.kind == "hold", _hold.answer == "ok", same)
    unsound = (
        sa.select(_end.id)
        .select_from(sa.outerjoin(_end.id.table, _hold.id.table, _hold.id == _end.of))
        .where(
            _end.kind.in_(("post", "void")),
            _end.answer == "ok",
            sa.or_(_hold.id.is_(None), ~sound),
        )
    )
    for name in work.connection.scalars(unsound):
        yield Difference(where=name, what="ends no hold of its accounts and amount")


def _mixed(work: UnitOfWork) -> Iterator[Difference]:
    debit, credit = accounts.alias("debited").c, accounts.alias("credited").c
    query = (
        sa.select(_t.id)
        .join(debit.id.table, debit.id == _t.debit)
        .join(credit.id.table, credit.id == _t.credit)
        .where(_ok, debit.currency != credit.currency)
    )
    for name in work.connection.scalars(query):
        yield Difference(where=name, what="mixes currencies")
