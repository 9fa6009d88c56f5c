"""The embedded log's queries."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from renewal.eventlog.port import Record
from renewal.store.many import adding
from renewal.store.wakeups import as_told, notify
from schema.events import Topic
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
#: What an event on the log is made of, in the order in which it is told.
TOLD = ("topic", "key", "kind", "identity", "at", "body")
# One fact told twice is one event.
_tell = adding(events, TOLD, unless=["identity"])
# Sequence numbers are given before the commit, so that a reader of "seq > last" would skip one
# that commits late. Under this lock, held to the end of the transaction, those of a lane commit in
# order. Other processes are told of the commit: a NOTIFY makes committers wait for each other too,
# for as long as a commit takes.
_in_order = sa.select(
    sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(sa.bindparam("lane"), 0)), notify
)
CODES, OTHERS = LANES = "events.codes", "events"
#: So many times what is wanted is looked through for it at once; there are some eight kinds of
#: event to a renewal, and each consumer wants one to three of them.
LOOKED_THROUGH = 8

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
def wanted_after(topics: int) -> sa.Select[Any]:
    """
    The next of them that are of no unwanted kind.
    """
    page = _next(topics, _columns, sa.bindparam("through")).subquery()
    wanted = page.c.kind.not_in(sa.bindparam("without", expanding=True))
    return sa.select(page).where(wanted).order_by(page.c.position).limit(sa.bindparam("at_most"))


@cache
def last_after(topics: int) -> sa.Select[Any]:
    """
    The last of those that were looked through for it.
    """
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


def tell(work: Work, rows: Sequence[tuple[Any, ...]]) -> None:
    """
    Put events on the log, in this order.
    """
    if work.connection.dialect.name == "postgresql":
        told = as_told(work.who, work.told)
        for lane in sorted({lane_of(topic) for topic, *_ in rows}):
            work.connection.execute(_in_order, {"lane": lane, "told": told})
    _tell.execute(work.connection, rows)


def lane_of(topic: str) -> str:
    """
    Codes are told in a lane of their own: none waits until a bulk run has told its own.

    There is an order within a lane alone: no reader goes through two of them by one position.
    """
    return CODES if topic == Topic.CODES else OTHERS


def events_after(
    work: Work,
    topics: Sequence[str],
    position: int,
    at_most: int,
    *,
    without: Collection[str] = (),
) -> Sequence[Record]:
    """
    The next events but those of the kinds ``without``. If there are fewer than ``at_most``, the
    last that was looked through is one of them, whatever its kind: one goes on behind it.
    """
    named: dict[str, Any] = {f"topic_{nth}": topic for nth, topic in enumerate(topics)}
    named |= {"after": position, "at_most": at_most}
    if not without:
        return _records(work.connection.execute(after(len(topics)), named))
    named |= {"through": LOOKED_THROUGH * at_most, "without": sorted(without)}
    found = _records(work.connection.execute(wanted_after(len(topics)), named))
    if len(found) < at_most:
        last = _records(work.connection.execute(last_after(len(topics)), named))
        found += [one for one in last if not found or one.position > found[-1].position]
    return found


def position_of(work: Work, consumer: str) -> int:
    """
    The last event that the consumer is known to have dealt with; 0 at its beginning.
    """
    return work.connection.scalar(_position, {"consumer": consumer}) or 0


def move_on(work: Work, consumer: str, position: int) -> None:
    """
    Note it; never back.
    """
    if work.connection.execute(_move, {"who": consumer, "to": position}).rowcount:
        return
    if not position_of(work, consumer):
        work.connection.execute(_start, {"consumer": consumer, "position": position})


def set_back(work: Work, consumers: Collection[str], position: int) -> None:
    """
    Let them begin again behind that event; who has not come so far stays where he is.
    """
    back = sa.update(offsets).where(
        offsets.c.consumer.in_(consumers), offsets.c.position > position
    )
    work.connection.execute(back.values(position=position))


def newest(work: Work, at_most: int) -> Sequence[Record]:
    """
    The last events of all, oldest first.
    """
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


def others_after(work: Work, topic: str, position: int, at_most: int) -> Sequence[Record]:
    """
    The next events of every topic but this one, in the order in which they were told.
    """
    named = {"after": position, "topic": topic, "at_most": at_most}
    return _records(work.connection.execute(_others_after, named))
