"""How far the clock had come when it was last believed, or when a job was last done."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from schema.tables.carriers import clock_marks as t
from schema.tables.log import parked

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from renewal.db.unit_of_work import UnitOfWork

HOUSE = "house"


class Mark(NamedTuple):
    seen_at: datetime
    doubted_at: datetime | None


def mark_of(look: UnitOfWork) -> Mark | None:
    query = sa.select(t.c.seen_at, t.c.doubted_at).where(t.c.name == HOUSE)
    row = look.connection.execute(query).first()
    return Mark(*row) if row else None


def believe(work: UnitOfWork) -> None:
    """Note that the clock has come so far, and is believed."""
    _write(work, seen_at=work.at, doubted_at=None)


def doubt(work: UnitOfWork) -> None:
    """Note what the clock says, and that it is not believed."""
    _write(work, doubted_at=work.at)


def job_done(work: UnitOfWork, job: str) -> None:
    """Note that a job has come to its end now."""
    _write(work, job, seen_at=work.at)


def _write(work: UnitOfWork, name: str = HOUSE, **values: object) -> None:
    work.serialize_on("clock")
    changed = work.connection.execute(sa.update(t).where(t.c.name == name).values(**values))
    if not changed.rowcount:
        fresh: dict[str, object] = {"name": name, "seen_at": work.at, "doubted_at": None}
        work.connection.execute(sa.insert(t).values(**(fresh | values)))


def bring_forward(work: UnitOfWork, ahead: timedelta) -> int:
    """
    Let events that were put off by a clock that was so far ahead come by as much earlier; who
    handles them looks again whether it is their time.
    """
    late = sa.select(parked.c.id, parked.c.due).where(parked.c.due > work.at)
    moved = 0
    for row in work.connection.execute(late).all():
        due = max(work.at, row.due - ahead)
        work.connection.execute(sa.update(parked).where(parked.c.id == row.id).values(due=due))
        moved += 1
    return moved
