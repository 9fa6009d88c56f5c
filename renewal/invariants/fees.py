"""I4: a fee is captured once, for what was delivered, and the ledger balances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from renewal.invariants.check import Check, CheckInput, asked, under_way
from renewal.ledger import checks
from schema.codec import kind_name
from schema.events import PaymentRequested, RefundRequested, RenewalAbandoned, RenewalRefused
from schema.tables.books import payments, transfers
from schema.tables.renewals import ENDED, renewals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from renewal.db.unit_of_work import UnitOfWork
    from schema.events import Event

IN_FORCE = ("activated", "done")
GROUP = "billing"
r = renewals.c
p = payments.c
t = transfers.c


def _books(work: UnitOfWork, _given: CheckInput) -> Iterator[str]:
    return (f"{one.where}: {one.what}" for one in checks.recompute(work))


def _captured_twice(_given: CheckInput) -> sa.Select[Any]:
    return (
        sa.select(t.ref)
        .where(t.kind == "post", t.answer == "ok")
        .group_by(t.ref)
        .having(sa.func.count() > 1)
    )


def _captured_undelivered(_given: CheckInput) -> sa.Select[Any]:
    return (
        sa.select(t.id)
        .outerjoin(renewals, r.id == t.ref)
        .where(
            t.kind == "post",
            t.answer == "ok",
            sa.or_(r.id.is_(None), r.state.not_in(IN_FORCE)),
        )
    )


def _still_held(_given: CheckInput) -> sa.Select[Any]:
    end = transfers.alias().c
    ended = sa.exists().where(end.of == t.id, end.answer == "ok")
    on_its_way = sa.or_(
        under_way(GROUP, f"{kind_name(RenewalRefused)}:" + r.id),
        under_way(GROUP, f"{kind_name(RenewalAbandoned)}:" + r.id),
    )
    return (
        sa.select(r.id)
        .join(transfers, sa.and_(t.ref == r.id, t.kind == "hold", t.answer == "ok"))
        .where(r.state.in_(ENDED), ~ended, ~on_its_way)
    )


def _count(*where: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.sum(sa.case((sa.and_(*where), 1), else_=0))


def _fee_not_as_booked(_given: CheckInput) -> sa.Select[Any]:
    booked = (
        sa.select(
            t.ref,
            _count(t.kind == "hold").label("holds"),
            _count(t.kind == "post").label("posts"),
            _count(t.kind == "void").label("voids"),
            _count(t.kind == "direct", t.of.is_not(None)).label("used"),
            sa.func.max(sa.case((t.kind.in_(("hold", "post")), t.amount))).label("most"),
        )
        .where(t.answer == "ok")
        .group_by(t.ref)
        .subquery()
    )

    def has(name: str, many: int) -> sa.ColumnElement[bool]:
        return sa.func.coalesce(booked.c[name], 0) == many

    def booked_as(state: tuple[str, ...], **many: int) -> sa.ColumnElement[bool]:
        counts = {"holds": 0, "posts": 0, "voids": 0, "used": 0} | many
        return sa.and_(r.fee_state.in_(state), *(has(*count) for count in counts.items()))

    right = sa.or_(
        booked_as(("none", "quoted", "holding", "declined", "prepaid")),
        booked_as(("held",), holds=1),
        booked_as(("captured",), holds=1, posts=1),
        booked_as(("voided",), holds=1, voids=1),
        booked_as(("consumed",), used=1),
    )
    same = sa.func.coalesce(booked.c.most, r.fee_amount) == r.fee_amount
    return (
        sa.select(r.id).outerjoin(booked, booked.c.ref == r.id).where(sa.not_(sa.and_(right, same)))
    )


def _payment_not_as_booked(_given: CheckInput) -> sa.Select[Any]:
    paid, used = transfers.alias(), transfers.alias()
    is_paid = sa.and_(
        paid.c.ref == p.id,
        paid.c.kind == "direct",
        paid.c.of.is_(None),
        paid.c.answer == "ok",
    )
    right = sa.or_(
        sa.and_(p.state.in_(("asked", "refused")), paid.c.id.is_(None)),
        sa.and_(p.state.in_(("paid", "reserved")), paid.c.id.is_not(None), used.c.id.is_(None)),
        sa.and_(p.state == "consumed", used.c.ref == p.renewal),
        sa.and_(p.state == "to refund", paid.c.id.is_not(None)),
        sa.and_(p.state == "refunded", used.c.ref == p.id, _paid_back(used)),
    )
    same = sa.and_(
        sa.func.coalesce(paid.c.amount, p.amount) == p.amount,
        sa.func.coalesce(used.c.amount, p.amount) == p.amount,
    )
    return (
        sa.select(p.id)
        .outerjoin(paid, is_paid)
        .outerjoin(used, sa.and_(used.c.of == paid.c.id, used.c.answer == "ok"))
        .where(sa.not_(sa.and_(sa.func.coalesce(right, sa.false()), same)))
    )


def _paid_back(owed: sa.FromClause) -> sa.ColumnElement[bool]:
    back = transfers.alias().c
    return sa.exists().where(back.of == owed.c.id, back.answer == "ok")


def _used_wrongly(_given: CheckInput) -> sa.Select[Any]:
    right = sa.or_(
        sa.and_(p.state == "consumed", r.state.in_(IN_FORCE), r.fee_state == "consumed"),
        sa.and_(p.state == "reserved", r.state.not_in(ENDED)),
    )
    return (
        sa.select(p.id)
        .outerjoin(renewals, sa.and_(r.id == p.renewal, r.certificate == p.certificate))
        .where(p.state.in_(("consumed", "reserved")), sa.or_(r.id.is_(None), sa.not_(right)))
    )


def _used_without_payment(_given: CheckInput) -> sa.Select[Any]:
    entitled = sa.exists().where(p.renewal == r.id, p.state.in_(("reserved", "consumed")))
    return sa.select(r.id).where(r.fee_state.in_(("prepaid", "consumed")), r.state.not_in(
        ("refused", "abandoned")), ~entitled)  # fmt: skip


def _paid_twice(_given: CheckInput) -> sa.Select[Any]:
    return (
        sa.select(p.certificate)
        .where(p.state.in_(("asked", "paid", "reserved", "consumed")))
        .group_by(p.certificate)
        .having(sa.func.count() > 1)
    )


def _nobody_asks_the_bank(_given: CheckInput) -> sa.Select[Any]:
    asks: dict[str, type[Event]] = {"asked": PaymentRequested, "to refund": RefundRequested}
    waits = [
        sa.and_(p.state == state, ~under_way(GROUP, f"{kind_name(kind)}:" + p.id))
        for state, kind in asks.items()
    ]
    return sa.select(p.id).where(sa.or_(*waits))


CHECKS = (
    Check(
        invariant="I4",
        what="the books are not what their journal says",
        zh="帳冊與日記帳不符",
        find=_books,
    ),
    Check(
        invariant="I4",
        what="a fee captured twice",
        zh="同一件展期重複請款",
        find=asked(_captured_twice),
    ),
    Check(
        invariant="I4",
        what="a fee captured without delivery",
        zh="未交付憑證卻已請款",
        find=asked(_captured_undelivered),
    ),
    Check(
        invariant="I4",
        what="a fee still held when the renewal has ended",
        zh="展期已結束，費用仍被圈存",
        find=asked(_still_held),
    ),
    Check(
        invariant="I4",
        what="the fee's state or amount is not what the books say",
        zh="費用狀態或金額與帳冊不符",
        find=asked(_fee_not_as_booked),
    ),
    Check(
        invariant="I4",
        what="the payment's state or amount is not what the books say",
        zh="預付款狀態或金額與帳冊不符",
        find=asked(_payment_not_as_booked),
    ),
    Check(
        invariant="I4",
        what="a payment used up or reserved by no renewal that may",
        zh="預付款被不該使用的展期占用",
        find=asked(_used_wrongly),
    ),
    Check(
        invariant="I4",
        what="a renewal that used an entitlement which nobody paid",
        zh="展期使用了沒有付款的權益",
        find=asked(_used_without_payment),
    ),
    Check(
        invariant="I4",
        what="two payments for one certificate",
        zh="同一張憑證付款兩次",
        find=asked(_paid_twice),
    ),
    Check(
        invariant="I4",
        what="a payment waits for the bank, and nobody asks it",
        zh="付款等待銀行，卻無人詢問",
        find=asked(_nobody_asks_the_bank),
    ),
)
