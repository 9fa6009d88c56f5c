"""Questions about certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from renewal.store.among import among
from renewal.store.shelf import pages
from schema.tables.people import certificates as t

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from renewal.store.rows import Certificate
    from renewal.store.work import Work


class Due(NamedTuple):
    """
    A certificate as the scan sees it, from the index alone.
    """

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
    work: Work, product: str, *, since: datetime, until: datetime, after: Due | None, at_most: int
) -> list[Due]:
    """
    Certificates that end from ``since`` to ``until``, not announced, a page after ``after``.

    As in the next two: without those that another transaction is changing.
    """
    return _read(
        work, _to_announce, product, since=since, until=until, after=after, at_most=at_most
    )


def left_unrenewed(
    work: Work, product: str, *, since: datetime, until: datetime, after: Due | None, at_most: int
) -> list[Due]:
    """
    Certificates that ended by ``until`` and whose leaving was not told, a page after ``after``.
    """
    return _read(work, _to_leave, product, since=since, until=until, after=after, at_most=at_most)


def _read(
    work: Work,
    query: sa.Select[Any],
    product: str,
    *,
    since: datetime,
    until: datetime,
    after: Due | None,
    at_most: int,
) -> list[Due]:
    place = {
        "after_end": after.not_after if after else since,
        "after_id": after.id if after else -1,
    }
    found = work.connection.execute(
        work.taken(query), {"product": product, "until": until, "at_most": at_most, **place}
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


def to_remind(work: Work, at_most: int) -> list[int]:
    """
    Certificates whose next reminder's time has come, the longest waiting first.
    """
    found = work.connection.execute(work.taken(_to_remind), {"now": work.at, "at_most": at_most})
    return [row.id for row in found]


def of_customers(work: Work, customers: Iterable[int]) -> Sequence[Certificate]:
    """
    Every certificate of these customers, in the order of their ids.
    """
    found: list[Certificate] = []
    for page in pages(sorted(set(customers))):
        found += work.certificates.read(
            sa.select(t).where(among(t.c.customer, page)).order_by(t.c.id)
        )
    return found


def in_slot(work: Work, slot: str) -> Sequence[Certificate]:
    return work.certificates.read(sa.select(t).where(t.c.slot == slot).order_by(t.c.id))


def by_serial(work: Work, serial: str) -> Sequence[Certificate]:
    return work.certificates.read(sa.select(t).where(t.c.serial == serial).order_by(t.c.id))


def listed(
    work: Work, *, state: str | None, product: str | None, after: int, at_most: int
) -> Sequence[Certificate]:
    query = sa.select(t).where(t.c.id > after).order_by(t.c.id).limit(at_most)
    if state is not None:
        query = query.where(t.c.state == state)
    if product is not None:
        query = query.where(t.c.product == product)
    return work.certificates.read(query)


def known_serials(work: Work, issuer_hash: bytes, serials: Collection[str]) -> set[str]:
    found: set[str] = set()
    for page in pages(serials):
        query = sa.select(t.c.serial).where(t.c.issuer_hash == issuer_hash, among(t.c.serial, page))
        found.update(work.connection.scalars(query))
    return found
