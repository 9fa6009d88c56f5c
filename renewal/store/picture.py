"""Figures of the live picture: of the last day, of now, and when each job was last done."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from renewal.store import clock_marks
from schema.tables.carriers import clock_marks as marks
from schema.tables.renewals import challenges
from schema.tables.runs import runs
from schema.tables.stations import stations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from renewal.db.unit_of_work import UnitOfWork


class CodeCounts(NamedTuple):
    """Of the one-time codes that were asked for since a moment."""

    asked: int
    verified: int
    locked: int  #: every try was wrong


class BranchStations(NamedTuple):
    branch: str
    enrolled: int
    revoked: int


def codes_since(look: UnitOfWork, since: datetime) -> CodeCounts:
    c = challenges.c
    locked = sa.and_(c.used_at.is_(None), c.tries >= c.most_tries)
    query = sa.select(
        sa.func.count(), sa.func.count(c.used_at), sa.func.count(sa.case((locked, 1)))
    ).where(c.issued_at >= since)
    return CodeCounts(*look.connection.execute(query).one())


def runs_by_state(look: UnitOfWork) -> Mapping[str, int]:
    query = sa.select(runs.c.state, sa.func.count()).group_by(runs.c.state)
    return dict(look.connection.execute(query).all())


def stations_by_branch(look: UnitOfWork) -> Sequence[BranchStations]:
    gone = sa.func.count(stations.c.revoked_at)
    query = (
        sa.select(stations.c.branch, sa.func.count() - gone, gone)
        .group_by(stations.c.branch)
        .order_by(stations.c.branch)
    )
    return [BranchStations(*row) for row in look.connection.execute(query)]


def jobs_done(look: UnitOfWork) -> Mapping[str, datetime]:
    """When each job that keeps a mark was last done."""
    query = sa.select(marks.c.name, marks.c.seen_at).where(marks.c.name != clock_marks.HOUSE)
    return dict(look.connection.execute(query.order_by(marks.c.name)).all())
