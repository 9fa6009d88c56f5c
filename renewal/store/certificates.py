"""Queries about certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from renewal.db.identity_map import pages
from renewal.db.key_lookup import key_in
from schema.states import CertificateState
from schema.tables.people import certificates as t

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from renewal.db.rows import Certificate
    from renewal.db.unit_of_work import UnitOfWork


class Due(NamedTuple):
    """A certificate as the scan sees it, from the index alone."""

    id: int
    not_after: datetime
    customer: int | None
    version: int


# Within a tuple a parameter takes no type from the column: untyped, SQLite would compare it as
# another text for the same moment, and a page would begin with the last row of the one before.
_after_end: sa.BindParameter[datetime] = sa.bindparam("after_end", type_=t.c.not_after.type)
_seen = (t.c.id, t.c.not_after, t.c.customer, t.c.version)


def _page(*where: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """
    One page of a product's certificates by (not_after, id), after the last one of the page before.
    """
    return (
        sa.select(*_seen)
        .where(
            t.c.product == sa.bindparam("product"),
            t.c.state == sa.literal_column("'active'"),  # else the partial index is not used
            sa.tuple_(t.c.not_after, t.c.id) > sa.tuple_(_after_end, sa.bindparam("after_id")),
            t.c.not_after <= sa.bindparam("until"),
            *where,
        )
        .order_by(t.c.not_after, t.c.id)
        .limit(sa.bindparam("at_most"))
    )


_to_announce = _page(t.c.announced_at.is_(None))
_to_leave = _page(t.c.left_at.is_(None))


def not_yet_announced(
    work: UnitOfWork,
    product: str,
    *,
    since: datetime,
    until: datetime,
    after: Due | None,
    at_most: int,
) -> list[Due]:
    """
    Certificates that end from ``since`` to ``until``, not announced, a page after ``after``.

    As in the next two: without those that another transaction is changing.
    """
    return _read(
        work, _to_announce, product, since=since, until=until, after=after, at_most=at_most
    )


def left_unrenewed(
    work: UnitOfWork,
    product: str,
    *,
    since: datetime,
    until: datetime,
    after: Due | None,
    at_most: int,
) -> list[Due]:
    """
    Certificates that ended by ``until`` and whose leaving was not told, a page after ``after``.
    """
    return _read(work, _to_leave, product, since=since, until=until, after=after, at_most=at_most)


def _read(
    work: UnitOfWork,
    query: sa.Select[Any],
    product: str,
    *,
    since: datetime,
    until: datetime,
    after: Due | None,
    at_most: int,
) -> list[Due]:
    keyset = {
        "after_end": after.not_after if after else since,
        "after_id": after.id if after else -1,
    }
    found = work.connection.execute(
        work.skip_locked(query), {"product": product, "until": until, "at_most": at_most, **keyset}
    )
    return [Due(*row) for row in found]


_to_remind = (
    sa.select(t.c.id, t.c.remind_at.label("not_after"), t.c.customer, t.c.version)
    .where(
        t.c.state == sa.literal_column("'active'"),
        t.c.remind_at.is_not(None),
        t.c.remind_at <= sa.bindparam("now"),
    )
    .order_by(t.c.remind_at, t.c.id)
    .limit(sa.bindparam("at_most"))
)


def to_remind(work: UnitOfWork, at_most: int) -> list[int]:
    """Certificates whose next reminder's time has come, the longest waiting first."""
    found = work.connection.execute(
        work.skip_locked(_to_remind), {"now": work.at, "at_most": at_most}
    )
    return [row.id for row in found]


def customers_to_remind(
    work: UnitOfWork, *, until: datetime, after: int, at_most: int
) -> list[int]:
    """Customers of whose certificates one has its next look by then, in the order of their ids."""
    found = (
        sa.select(t.c.customer)
        .distinct()
        .where(
            t.c.state == CertificateState.ACTIVE,
            t.c.remind_at <= until,
            t.c.customer > after,
        )
        .order_by(t.c.customer)
        .limit(at_most)
    )
    return list(work.connection.scalars(found))


def on_token(work: UnitOfWork, serial: str) -> list[Certificate]:
    """Every certificate on the token, the oldest first, however its serial was once written."""
    same = sa.func.lower(t.c.token_serial) == serial.lower()
    return work.certificates.read(sa.select(t).where(same).order_by(t.c.id))


def of_customers(work: UnitOfWork, customers: Iterable[int]) -> Sequence[Certificate]:
    """Every certificate of these customers, in the order of their ids."""
    found: list[Certificate] = []
    for page in pages(sorted(set(customers))):
        found += work.certificates.read(
            sa.select(t).where(key_in(t.c.customer, page)).order_by(t.c.id)
        )
    return found


def in_slot(work: UnitOfWork, slot: str) -> Sequence[Certificate]:
    return work.certificates.read(sa.select(t).where(t.c.slot == slot).order_by(t.c.id))


def by_serial(work: UnitOfWork, serial: str) -> Sequence[Certificate]:
    return work.certificates.read(sa.select(t).where(t.c.serial == serial).order_by(t.c.id))


def products_in_force(connection: sa.Connection) -> dict[str, int]:
    """How many certificates are in force of each product."""
    counted = sa.select(t.c.product, sa.func.count()).where(t.c.state == CertificateState.ACTIVE)
    rows = connection.execute(counted.group_by(t.c.product).order_by(t.c.product))
    return {product: count for product, count in rows}  # noqa: C416 - rows are no pairs to mypy


def listed(
    work: UnitOfWork, *, state: str | None, product: str | None, after: int, at_most: int
) -> Sequence[Certificate]:
    query = sa.select(t).where(t.c.id > after).order_by(t.c.id).limit(at_most)
    if state is not None:
        query = query.where(t.c.state == state)
    if product is not None:
        query = query.where(t.c.product == product)
    return work.certificates.read(query)


def key_is_used(work: UnitOfWork, key: bytes) -> bool:
    """Whether a certificate of anybody has this public key (its SHA-256)."""
    query = sa.select(sa.literal(1)).where(t.c.spki_sha256 == key).limit(1)
    return work.connection.scalar(query) is not None
