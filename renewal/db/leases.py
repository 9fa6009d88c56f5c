"""Leader leases with a fencing term that only grows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from renewal.errors import XuqiError
from schema.tables.log import leases as t

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from renewal.db.unit_of_work import UnitOfWork


class NotLeadingError(XuqiError):
    """Another process leads now; the transaction is rolled back."""


class Lease(NamedTuple):
    holder: str
    until: datetime
    term: int


def current(work: UnitOfWork, name: str) -> Lease | None:
    """Return the current or last lease."""
    query = sa.select(t.c.holder, t.c.until, t.c.term).where(t.c.name == name)
    found = work.connection.execute(query).first()
    return Lease(*found) if found else None


def take(work: UnitOfWork, name: str, holder: str, lasts: timedelta) -> int | None:
    """
    Acquire a free lease or renew one's own; return its term, or ``None`` if another leads.

    The term grows with each change of holder, and with each return after a lapse.
    """
    lease = current(work, name)
    if lease is not None and lies_in_the_future(lease, work.at, lasts):
        lease = lease._replace(holder="", until=work.at)
    row = {"holder": holder, "until": work.at + lasts, "term": lease.term + 1 if lease else 1}
    if lease is None:  # of two first ones the key refuses the second
        work.connection.execute(sa.insert(t), {"name": name, **row})
        return 1
    mine = lease.holder == holder and lease.until > work.at
    if lease.until > work.at and not mine:
        return None
    if mine:
        row["term"] = lease.term
    # Held against the term as it was read: of two that take over at once one gets it.
    same = sa.and_(t.c.name == name, t.c.term == lease.term)
    taken = work.connection.execute(sa.update(t).where(same).values(**row)).rowcount == 1
    return int(str(row["term"])) if taken else None


def lies_in_the_future(lease: Lease, at: datetime, lasts: timedelta) -> bool:
    """
    Whether it was written by a clock that was ahead: it is void, or nobody would lead for as long.
    Two hosts whose clocks differ may take it from each other; the term keeps either from writing
    what the other has begun.
    """
    return lease.until - at > 2 * lasts


def leave(work: UnitOfWork, name: str, holder: str, term: int) -> None:
    """Release one's own lease early, so that nobody waits for its end."""
    mine = sa.and_(t.c.name == name, t.c.holder == holder, t.c.term == term)
    work.connection.execute(sa.update(t).where(mine).values(until=work.at))


def fence(work: UnitOfWork, name: str, term: int) -> None:
    """
    Abort unless the lease still has this fencing term; the row is held until commit.

    Raises:
        NotLeadingError
    """
    query = sa.select(t.c.term).where(t.c.name == name).with_for_update(read=True)
    now = work.connection.scalar(query)
    if now != term:
        raise NotLeadingError(f"term {term} of {name} is over: term {now} has begun")
