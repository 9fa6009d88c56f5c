"""Queries about reconciliations and the differences that each has found."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from schema.tables.reconciling import differences, reconciliations

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from renewal.db.unit_of_work import UnitOfWork

r = reconciliations.c
d = differences.c


class Reconciliation(NamedTuple):
    """``ended_at``: none while it is under way, and for ever if it was cut off."""

    id: int
    who: str
    began_at: datetime
    compared: str
    found: int
    ended_at: datetime | None


class KeptDifference(NamedTuple):
    number: int
    side: str
    code: str
    item: str


def begin(work: UnitOfWork, who: str) -> int:
    row = {"who": who, "began_at": work.at, "compared": "", "found": 0}
    made = work.connection.execute(sa.insert(reconciliations).returning(r.id), row)
    return int(made.scalar_one())


def keep(work: UnitOfWork, number: int, rows: Sequence[KeptDifference]) -> None:
    if rows:
        values = [{"reconciliation": number, **one._asdict()} for one in rows]
        work.connection.execute(sa.insert(differences), values)


def mark(work: UnitOfWork, number: int, *, compared: str, found: int, ended: bool) -> None:
    values = {"compared": compared, "found": found, "ended_at": work.at if ended else None}
    work.connection.execute(sa.update(reconciliations).where(r.id == number).values(values))


def newest(look: UnitOfWork, at_most: int = 1) -> Sequence[Reconciliation]:
    query = sa.select(reconciliations).order_by(r.id.desc()).limit(at_most)
    return [Reconciliation(*row) for row in look.connection.execute(query)]


def by_code(look: UnitOfWork, number: int) -> Sequence[tuple[str, int]]:
    """How many of each code, of those that are kept."""
    query = sa.select(d.code, sa.func.count()).where(d.reconciliation == number)
    counted = look.connection.execute(query.group_by(d.code).order_by(d.code))
    return [(code, many) for code, many in counted]


def kept(
    look: UnitOfWork, number: int, *, after: int = 0, at_most: int
) -> Sequence[KeptDifference]:
    query = sa.select(d.number, d.side, d.code, d.item).where(
        d.reconciliation == number, d.number > after
    )
    found = look.connection.execute(query.order_by(d.number).limit(at_most))
    return [KeptDifference(*row) for row in found]
