"""Queries about renewals, payments and decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from renewal.db.identity_map import pages
from renewal.db.key_lookup import key_in, lookup_by_keys
from schema.states import RenewalState
from schema.tables.books import payments
from schema.tables.people import certificates
from schema.tables.renewals import OPEN, decisions
from schema.tables.renewals import renewals as t
from schema.tables.runs import run_items

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from renewal.db.rows import Payment, Renewal
    from renewal.db.unit_of_work import UnitOfWork


#: Written out, for SQLite does not use a partial index for states that are bound.
is_open = t.c.state.in_([sa.literal_column(f"'{state}'") for state in OPEN])
#: A bulk run begins it, and until the customer acts it is no more than an invitation.
_is_invitation = sa.and_(
    t.c.state == RenewalState.REQUESTED, sa.exists().where(run_items.c.renewal == t.c.id)
)
is_taken_up = sa.and_(is_open, ~_is_invitation)


_open_in_slot = sa.select(t).where(t.c.slot == sa.bindparam("slot"), is_open)
_of_certificate = (
    sa.select(t).where(t.c.certificate == sa.bindparam("certificate")).order_by(t.c.id)
)
_payment_of = (
    sa.select(payments)
    .where(
        payments.c.certificate == sa.bindparam("certificate"),
        payments.c.state.in_(sa.bindparam("states", expanding=True)),
    )
    .order_by(payments.c.id)
)
_waiting_since = (
    sa.select(t)
    .where(
        t.c.state.in_(sa.bindparam("states", expanding=True)),
        t.c.moved_at < sa.bindparam("moved_before"),
        t.c.id > sa.bindparam("after"),
    )
    .order_by(t.c.id)
    .limit(sa.bindparam("at_most"))
)


def open_in_slot(work: UnitOfWork, slot: str) -> Renewal | None:
    """The renewal that is under way there, if any."""
    work.write()
    found = work.renewals.read(_open_in_slot, {"slot": slot})
    return found[0] if found else None


def open_slots(work: UnitOfWork, slots: Collection[str]) -> set[str]:
    """In which of these slots a renewal is under way; asked before one is begun there."""
    work.write()
    found: set[str] = set()
    for page in pages(slots):
        query = sa.select(t.c.slot).where(key_in(t.c.slot, page), is_open)
        found.update(work.connection.scalars(query))
    return found


def is_ordered(work: UnitOfWork, blank_token: str) -> bool:
    """Whether a renewal under way is to be written to this blank token."""
    found = sa.select(t.c.id).where(t.c.blank_token == blank_token, is_open).limit(1)
    return work.connection.scalar(found) is not None


def attempts_of(work: UnitOfWork, certificates: Collection[int]) -> dict[int, int]:
    """How many renewals each of these certificates has had; those without one are left out."""
    found: dict[int, int] = {}
    for page in pages(certificates):
        query = sa.select(t.c.certificate, sa.func.count().label("attempts")).where(
            key_in(t.c.certificate, page)
        )
        rows = work.connection.execute(query.group_by(t.c.certificate))
        found.update((row.certificate, row.attempts) for row in rows)
    return found


def first_payments(
    work: UnitOfWork, certificates: Collection[int], state: str
) -> dict[int, Payment]:
    """The first payment in this state for each of these certificates that has one."""
    found: dict[int, Payment] = {}
    for page in pages(certificates):
        query = sa.select(payments).where(
            key_in(payments.c.certificate, page), payments.c.state == state
        )
        for payment in work.payments.read(query.order_by(payments.c.id)):
            found.setdefault(payment.certificate, payment)
    return found


def of_certificate(work: UnitOfWork, certificate: int) -> Sequence[Renewal]:
    work.write()
    return work.renewals.read(_of_certificate, {"certificate": certificate})


def under_way(work: UnitOfWork, certificates: Collection[int]) -> set[int]:
    """Which of these certificates are being renewed right now."""
    found: set[int] = set()
    for page in pages(certificates):
        query = sa.select(t.c.certificate).where(key_in(t.c.certificate, page), t.c.state.in_(OPEN))
        found.update(work.connection.scalars(query))
    return found


def taken_up(work: UnitOfWork, certificates: Collection[int]) -> set[int]:
    """Which of these are being renewed, without those whose invitation nobody has followed yet."""
    found: set[int] = set()
    for page in pages(certificates):
        query = sa.select(t.c.certificate).where(key_in(t.c.certificate, page), is_taken_up)
        found.update(work.connection.scalars(query))
    return found


def paid_for(work: UnitOfWork, certificates: Collection[int]) -> set[int]:
    """For which of these certificates a renewal is paid, or the payment is being asked for."""
    found: set[int] = set()
    for page in pages(certificates):
        query = sa.select(payments.c.certificate).where(
            key_in(payments.c.certificate, page),
            payments.c.state.in_(("asked", "paid", "reserved")),
        )
        found.update(work.connection.scalars(query))
    return found


_entitled = lookup_by_keys(
    (payments.c.renewal,), payments.c.renewal, payments.c.state == sa.literal_column("'reserved'")
)


def entitled(work: UnitOfWork, renewals: Collection[str]) -> set[str]:
    """Which of these renewals use an entitlement that was paid before."""
    found: set[str] = set()
    for page in pages(renewals):
        query = _entitled[work.connection.dialect.name]
        found.update(work.connection.scalars(query, {"keys": page}))
    return found


def payment_of(work: UnitOfWork, certificate: int, *states: str) -> Payment | None:
    """The certificate's payment in one of these states."""
    work.write()
    found = work.payments.read(_payment_of, {"certificate": certificate, "states": states})
    return found[0] if found else None


_paid_in_vain = (
    sa.select(payments)
    .join(certificates, certificates.c.id == payments.c.certificate)
    .where(
        payments.c.state == sa.literal_column("'paid'"),
        payments.c.id > sa.bindparam("after"),
        sa.or_(
            certificates.c.state.not_in(("active", "suspended")),
            certificates.c.not_after < sa.bindparam("now"),
        ),
    )
    .order_by(payments.c.id)
    .limit(sa.bindparam("at_most"))
)


def paid_for_what_has_ended(work: UnitOfWork, after: str, at_most: int) -> Sequence[Payment]:
    """
    Payments that no renewal uses yet, whose certificate has ended or is in force no more: a page
    after ``after``.
    """
    named = {"now": work.at, "after": after, "at_most": at_most}
    return work.payments.read(work.skip_locked(_paid_in_vain), named)


def payments_of(work: UnitOfWork, certificate: int) -> int:
    """How often a payment was asked for."""
    return (
        work.connection.scalar(
            sa.select(sa.func.count()).where(payments.c.certificate == certificate)
        )
        or 0
    )


def key_is_used(work: UnitOfWork, key: bytes) -> bool:
    """Whether a renewal, of anybody, has had this public key (its SHA-256) before."""
    query = sa.select(sa.func.count()).where(t.c.spki_sha256 == key)
    return bool(work.connection.scalar(query))


def waiting_since(
    work: UnitOfWork, states: Collection[str], moved_before: datetime, after: str, at_most: int
) -> Sequence[Renewal]:
    """Renewals that have stood in one of these states since before then, a page after ``after``."""
    named = {"states": states, "moved_before": moved_before, "after": after, "at_most": at_most}
    return work.renewals.read(_waiting_since, named)


def listed(work: UnitOfWork, *, state: str | None, after: str, at_most: int) -> Sequence[Renewal]:
    query = sa.select(t).where(t.c.id > after).order_by(t.c.id).limit(at_most)
    return work.renewals.read(query if state is None else query.where(t.c.state == state))


def story_of(work: UnitOfWork, certificate: int) -> Sequence[Mapping[str, Any]]:
    """Everything that was decided about a certificate, in the order of time."""
    query = sa.select(decisions).where(decisions.c.certificate == certificate)
    return [dict(row) for row in work.connection.execute(query.order_by(decisions.c.id)).mappings()]


_payments_of_customer = (
    sa.select(payments)
    .where(payments.c.customer == sa.bindparam("customer"))
    .order_by(payments.c.asked_at.desc(), payments.c.id.desc())
    .limit(sa.bindparam("at_most"))
)


def payments_for(look: UnitOfWork, certificate: int, at_most: int) -> Sequence[Payment]:
    """What was paid beforehand for this certificate's renewals, the newest first."""
    query = sa.select(payments).where(payments.c.certificate == certificate)
    return look.payments.read(query.order_by(payments.c.asked_at.desc()).limit(at_most))


def payments_of_customer(work: UnitOfWork, customer: int, at_most: int) -> Sequence[Payment]:
    """What the customer has paid or asked to pay, the newest first."""
    work.write()
    return work.payments.read(_payments_of_customer, {"customer": customer, "at_most": at_most})
