"""The state of each lane that has ever failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from schema.tables.carriers import alarms
from schema.tables.carriers import lanes as t

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from renewal.db.unit_of_work import UnitOfWork


class LaneState(NamedTuple):
    name: str
    stopped_until: datetime | None
    code: str
    in_a_row: int
    row_since: datetime | None
    last_address: bytes | None


def all_lanes(look: UnitOfWork) -> Mapping[str, LaneState]:
    return {row.name: LaneState(*row) for row in look.connection.execute(sa.select(t))}


class StoppedLane(NamedTuple):
    """A lane that lets nothing out, for which reason, and since when its alarm stands."""

    name: str
    code: str
    since: datetime | None
    until: datetime


def stopped_lanes(look: UnitOfWork) -> list[StoppedLane]:
    """Those that stand still now, by name."""
    alarm = sa.and_(
        alarms.c.subject == t.c.name, alarms.c.kind == "lane stopped", alarms.c.ended_at.is_(None)
    )
    since = sa.func.min(alarms.c.first_at).label("since")
    query = (
        sa.select(t.c.name, t.c.code, since, t.c.stopped_until)
        .select_from(t.outerjoin(alarms, alarm))
        .where(t.c.stopped_until > look.at)
        .group_by(t.c.name, t.c.code, t.c.stopped_until)
        .order_by(t.c.name)
    )
    return [StoppedLane(*row) for row in look.connection.execute(query)]


def stop(work: UnitOfWork, name: str, until: datetime, code: str) -> None:
    """Let nothing out by this lane before then."""
    _write(work, name, stopped_until=until, code=code)


def go_on(work: UnitOfWork, name: str) -> None:
    """Let it go on: something got through, or a person has said so."""
    _write(work, name, stopped_until=None, in_a_row=0, row_since=None, last_address=None)


def one_more(work: UnitOfWork, name: str, code: str, address: bytes | None) -> LaneState:
    """Count one more failure in a row; the same address again is the same failure."""
    lane = all_lanes(work).get(name)
    if lane is not None and address is not None and lane.last_address == address:
        return lane
    count = (lane.in_a_row if lane else 0) + 1
    since = (lane.row_since if lane else None) or work.at
    _write(work, name, code=code, in_a_row=count, row_since=since, last_address=address)
    return all_lanes(work)[name]


def _write(work: UnitOfWork, name: str, **values: object) -> None:
    work.serialize_on(f"lane {name}")
    changed = work.connection.execute(sa.update(t).where(t.c.name == name).values(**values))
    if not changed.rowcount:
        fresh: dict[str, object] = {"name": name, "code": "", "in_a_row": 0}
        work.connection.execute(sa.insert(t).values(**(fresh | values)))
