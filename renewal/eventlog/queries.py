"""Reads the outbox, and keeps how far each of its readers has come."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from renewal.eventlog.port import Record
from schema.tables.log import events, offsets

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from renewal.db.unit_of_work import UnitOfWork

_columns = (
    events.c.seq.label("position"),
    events.c.topic,
    events.c.key,
    events.c.kind,
    events.c.identity,
    events.c.at,
    events.c.body,
)
#: So many times what is wanted is looked through for it at once; there are some eight kinds of
#: event to a renewal, and each consumer wants one to three of them.
SCAN_FACTOR = 8

_position = sa.select(offsets.c.position).where(offsets.c.consumer == sa.bindparam("consumer"))
_start = sa.insert(offsets)
_move = (
    sa.update(offsets)
    .where(offsets.c.consumer == sa.bindparam("who"), offsets.c.position <= sa.bindparam("to"))
    .values(position=sa.bindparam("to"))
)


@cache
def after(topics: int) -> sa.Select[Any]:
    """
    The next events of so many topics. Each topic is read by its index and no further than needed:
    one ``IN`` over several would read and sort a whole backlog for each page.
    """
    return _next(topics, _columns, sa.bindparam("at_most"))


@cache
def filtered_after(topics: int) -> sa.Select[Any]:
    """The next events whose kind is not excluded."""
    page = _next(topics, _columns, sa.bindparam("through")).subquery()
    wanted = page.c.kind.not_in(sa.bindparam("without", expanding=True))
    return sa.select(page).where(wanted).order_by(page.c.position).limit(sa.bindparam("at_most"))


@cache
def last_after(topics: int) -> sa.Select[Any]:
    """The last of the events that were scanned for it."""
    page = _next(topics, [events.c.seq.label("position")], sa.bindparam("through")).subquery()
    last = sa.select(sa.func.max(page.c.position)).scalar_subquery()
    return sa.select(*_columns).where(events.c.seq == last)


def _next(
    topics: int, columns: Sequence[sa.ColumnElement[Any]], at_most: sa.BindParameter[int]
) -> sa.Select[Any]:
    position: sa.BindParameter[int] = sa.bindparam("after")
    pages = [
        sa.select(*columns)
        .where(events.c.topic == sa.bindparam(f"topic_{number}"), events.c.seq > position)
        .order_by(events.c.seq)
        .limit(at_most)
        for number in range(topics)
    ]
    if topics == 1:
        return pages[0]
    merged = sa.union_all(*(sa.select(page.subquery()) for page in pages)).subquery()
    return sa.select(merged).order_by(merged.c.position).limit(at_most)


def events_after(
    work: UnitOfWork,
    topics: Sequence[str],
    position: int,
    at_most: int,
    *,
    exclude: Collection[str] = (),
) -> Sequence[Record]:
    """
    The next events whose kind is not excluded. If there are fewer than ``at_most``, the last event
    scanned is one of them, whatever its kind, so that the reader advances behind it.
    """
    named: dict[str, Any] = {f"topic_{nth}": topic for nth, topic in enumerate(topics)}
    named |= {"after": position, "at_most": at_most}
    if not exclude:
        return _records(work.connection.execute(after(len(topics)), named))
    named |= {"through": SCAN_FACTOR * at_most, "without": sorted(exclude)}
    found = _records(work.connection.execute(filtered_after(len(topics)), named))
    if len(found) < at_most:
        last = _records(work.connection.execute(last_after(len(topics)), named))
        found += [one for one in last if not found or one.position > found[-1].position]
    return found


def position_of(work: UnitOfWork, consumer: str) -> int:
    """The last event that the consumer has dealt with; 0 at the beginning."""
    return work.connection.scalar(_position, {"consumer": consumer}) or 0


def advance(work: UnitOfWork, consumer: str, position: int) -> None:
    """Record the position; never back."""
    if work.connection.execute(_move, {"who": consumer, "to": position}).rowcount:
        return
    if not position_of(work, consumer):
        work.connection.execute(_start, {"consumer": consumer, "position": position})


def rewind(work: UnitOfWork, consumers: Collection[str], position: int) -> None:
    """Set the consumers back to that event; one that is not so far keeps its position."""
    back = sa.update(offsets).where(
        offsets.c.consumer.in_(consumers), offsets.c.position > position
    )
    work.connection.execute(back.values(position=position))


def newest(work: UnitOfWork, at_most: int) -> Sequence[Record]:
    """The newest events, oldest first."""
    found = work.connection.execute(
        sa.select(*_columns).order_by(events.c.seq.desc()).limit(at_most)
    )
    return _records(found)[::-1]


def _records(found: sa.Result[*tuple[Any, ...]]) -> list[Record]:
    return [
        Record(
            position=position, topic=topic, key=key, kind=kind, identity=identity, at=at, body=body
        )
        for position, topic, key, kind, identity, at, body in found.all()
    ]


_others_after = (
    sa.select(*_columns)
    .where(events.c.seq > sa.bindparam("after"), events.c.topic != sa.bindparam("topic"))
    .order_by(events.c.seq)
    .limit(sa.bindparam("at_most"))
)


def others_after(work: UnitOfWork, topic: str, position: int, at_most: int) -> Sequence[Record]:
    """The next events of every topic but this one, in commit order."""
    named = {"after": position, "topic": topic, "at_most": at_most}
    return _records(work.connection.execute(_others_after, named))
