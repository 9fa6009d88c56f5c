"""The embedded log's queries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from renewal.eventlog.port import Record
from schema.tables.log import events, offsets

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from renewal.store.work import Work

_columns = (
    events.c.seq.label("position"),
    events.c.topic,
    events.c.key,
    events.c.kind,
    events.c.identity,
    events.c.at,
    events.c.body,
)
_next = (
    sa.select(*_columns)
    .where(
        events.c.topic.in_(sa.bindparam("topics", expanding=True)),
        events.c.seq > sa.bindparam("after"),
    )
    .order_by(events.c.seq)
    .limit(sa.bindparam("at_most"))
)
_position = sa.select(offsets.c.position).where(offsets.c.consumer == sa.bindparam("consumer"))
_move = (
    sa.update(offsets)
    .where(offsets.c.consumer == sa.bindparam("who"), offsets.c.position < sa.bindparam("to"))
    .values(position=sa.bindparam("to"))
)


def events_after(
    work: Work, topics: Collection[str], after: int, at_most: int
) -> Sequence[Record]:
    found = work.connection.execute(
        _next, {"topics": list(topics), "after": after, "at_most": at_most}
    )
    return [Record(**row) for row in found.mappings()]


def position_of(work: Work, consumer: str) -> int | None:
    return work.connection.scalar(_position, {"consumer": consumer})


def start_at(work: Work, consumer: str, position: int) -> None:
    work.connection.execute(sa.insert(offsets), {"consumer": consumer, "position": position})


def move_on(work: Work, consumer: str, position: int) -> None:
    work.connection.execute(_move, {"who": consumer, "to": position})


def newest(work: Work, at_most: int) -> Sequence[Record]:
    """
    The last events of all, oldest first.
    """
    found = work.connection.execute(
        sa.select(*_columns).order_by(events.c.seq.desc()).limit(at_most)
    )
    return [Record(**row) for row in found.mappings()][::-1]
