"""Questions about renewals, their payments and what was decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from renewal.store.among import among, one_by_one
from renewal.store.shelf import pages
from schema.tables.books import payments
from schema.tables.people import certificates
from schema.tables.renewals import OPEN, decisions
from schema.tables.renewals import renewals as t

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from renewal.store.rows import Payment, Renewal
    from renewal.store.work import Work


#: Written out, for SQLite does not use a partial index for states that are bound.
is_open = t.c.state.in_([sa.literal_column(f"'{state}'") for state in OPEN])


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


def open_in_slot(work: Work, slot: str) -> Renewal | None:
    """
    The renewal that is under way there, if any.
    """
    work.write()
    found = work.renewals.read(_open_in_slot, {"slot": slot})
    return found[0] if found else None


def of_certificate(work: Work, certificate: int) -> Sequence[Renewal]:
    work.write()
    return work.renewals.read(_of_certificate, {"certificate": certificate})


def under_way(work: Work, certificates: Collection[int]) -> set[int]:
    """
    Which of these certificates are being renewed right now.
    """
    found: set[int] = set()
    for page in pages(certificates):
        query = sa.select(t.c.certificate).where(among(t.c.certificate, page), t.c.state.in_(OPEN))
        found.update(work.connection.scalars(query))
    return found


def paid_for(work: Work, certificates: Collection[int]) -> set[int]:
    """
    For which of these certificates a renewal is paid, or the payment is being asked for.
    """
    found: set[int] = set()
    for page in pages(certificates):
        query = sa.select(payments.c.certificate).where(
            among(payments.c.certificate, page), payments.c.state.in_(("asked", "paid", "reserved"))
        )
        found.update(work.connection.scalars(query))
    return found


_entitled = one_by_one(
    (payments.c.renewal,), payments.c.renewal, payments.c.state == sa.literal_column("'reserved'")
)


def entitled(work: Work, renewals: Collection[str]) -> set[str]:
    """
    Which of these renewals use an entitlement that was paid before.
    """
    found: set[str] = set()
    for page in pages(renewals):
        query = _entitled[work.connection.dialect.name]
        found.update(work.connection.scalars(query, {"keys": page}))
    return found


def payment_of(work: Work, certificate: int, *states: str) -> Payment | None:
    """
    The certificate's payment in one of these states.
    """
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


def paid_for_what_has_ended(work: Work, after: str, at_most: int) -> Sequence[Payment]:
    """
    Payments that no renewal uses yet, whose certificate has ended or is in force no more: a page
    after ``after``.
    """
    named = {"now": work.at, "after": after, "at_most": at_most}
    return work.payments.read(work.taken(_paid_in_vain), named)


def payments_of(work: Work, certificate: int) -> int:
    """
    How often a payment was asked for.
    """
    return (
        work.connection.scalar(
            sa.select(sa.func.count()).where(payments.c.certificate == certificate)
        )
        or 0
    )


def key_is_used(work: Work, key: bytes) -> bool:
    """
    Whether a renewal, of anybody, has had this public key (its SHA-256) before.
    """
    query = sa.select(sa.func.count()).where(t.c.spki_sha256 == key)
    return bool(work.connection.scalar(query))


def waiting_since(
    work: Work, states: Collection[str], moved_before: datetime, after: str, at_most: int
) -> Sequence[Renewal]:
    """
    Renewals that have stood in one of these states since before then, a page after ``after``.
    """
    named = {"states": states, "moved_before": moved_before, "after": after, "at_most": at_most}
    return work.renewals.read(_waiting_since, named)


def listed(work: Work, *, state: str | None, after: str, at_most: int) -> Sequence[Renewal]:
    query = sa.select(t).where(t.c.id > after).order_by(t.c.id).limit(at_most)
    return work.renewals.read(query if state is None else query.where(t.c.state == state))


def story_of(work: Work, certificate: int) -> Sequence[Mapping[str, Any]]:
    """
    Everything that was decided about a certificate, in the order of time.
    """
    query = sa.select(decisions).where(decisions.c.certificate == certificate)
    return [dict(row) for row in work.connection.execute(query.order_by(decisions.c.id)).mappings()]
