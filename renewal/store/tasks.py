"""Queries about what people must do at another CA."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from schema.states import TaskState
from schema.tables.tasks import tasks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from renewal.db.rows import Task
    from renewal.db.unit_of_work import UnitOfWork


def open_of(work: UnitOfWork, certificate: int, change: str) -> Task | None:
    """The open task for this change of this certificate."""
    query = sa.select(tasks).where(
        tasks.c.certificate == certificate,
        tasks.c.change == change,
        tasks.c.state == TaskState.OPEN.value,
    )
    return next(iter(work.tasks.read(query)), None)


def listed(
    look: UnitOfWork, *, state: TaskState | None, after: int = 0, at_most: int = 100
) -> Sequence[Task]:
    query = sa.select(tasks).where(tasks.c.id > after).order_by(tasks.c.id).limit(at_most)
    if state is not None:
        query = query.where(tasks.c.state == state.value)
    return look.tasks.read(query)


def open_count(look: UnitOfWork) -> int:
    query = sa.select(sa.func.count()).where(tasks.c.state == TaskState.OPEN.value)
    return look.connection.scalar(query) or 0
