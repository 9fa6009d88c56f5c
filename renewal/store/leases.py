"""Who leads, and until when; a term that only grows fences a paused leader off."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from renewal.errors import XuqiError
from schema.tables.log import leases as t

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from renewal.store.work import Work


class NotLeadingError(XuqiError):
    """
    Another one leads now: nothing of the transaction is there.
    """


class Lease(NamedTuple):
    holder: str
    until: datetime
    term: int


def current(work: Work, name: str) -> Lease | None:
    """
    Return who holds the lease or held it last.
    """
    query = sa.select(t.c.holder, t.c.until, t.c.term).where(t.c.name == name)
    found = work.connection.execute(query).first()
    return Lease(*found) if found else None


def take(work: Work, name: str, holder: str, lasts: timedelta) -> int | None:
    """
    Take a free lease or keep one's own; return its term, or ``None``: another one leads.

    The term grows with each change of holder, and with each return after a lapse.
    """
    lease = current(work, name)
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


def leave(work: Work, name: str, holder: str, term: int) -> None:
    """
    Give one's own lease up, so that nobody has to wait for its end.
    """
    mine = sa.and_(t.c.name == name, t.c.holder == holder, t.c.term == term)
    work.connection.execute(sa.update(t).where(mine).values(until=work.at))


def fence(work: Work, name: str, term: int) -> None:
    """
    Let this transaction stand only if nobody has led since that term, until it has ended.

    Raises:
        NotLeadingError
    """
    query = sa.select(t.c.term).where(t.c.name == name).with_for_update(read=True)
    now = work.connection.scalar(query)
    if now != term:
        raise NotLeadingError(f"term {term} of {name} is over: term {now} has begun")
