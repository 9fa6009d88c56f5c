"""Queries about what branches have yet to record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from schema.states import RecordingState
from schema.tables.tokens import recordings as t

if TYPE_CHECKING:
    from collections.abc import Sequence

    from renewal.db.rows import Recording
    from renewal.db.unit_of_work import UnitOfWork

_is_open = t.c.state != sa.literal_column("'recorded'")  # as the partial index has it


def fallen_due(work: UnitOfWork, at_most: int) -> Sequence[Recording]:
    """Those whose day is over and of which that has not been said."""
    query = sa.select(t).where(
        _is_open, t.c.due_at < work.at, t.c.state == RecordingState.DUE.value
    )
    return work.recordings.read(query.order_by(t.c.due_at, t.c.renewal).limit(at_most))


def listed(
    look: UnitOfWork, *, every: bool, branch: str | None = None, after: str = "", at_most: int = 100
) -> Sequence[Recording]:
    """Those that wait, or all of them, by renewal."""
    query = sa.select(t).where(t.c.renewal > after).order_by(t.c.renewal).limit(at_most)
    if not every:
        query = query.where(_is_open)
    if branch:
        query = query.where(t.c.branch == branch)
    return look.recordings.read(query)


def overdue_count(look: UnitOfWork) -> int:
    query = sa.select(sa.func.count()).where(t.c.state == RecordingState.OVERDUE.value)
    return look.connection.scalar(query) or 0
