"""I8: no event is lost, and none blocks the events behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from renewal.invariants.check import HOURS, Check, CheckInput, asked, is_dead, streamed, under_way
from schema.codec import kind_name
from schema.events import (
    CertificateActivated,
    FeeSecured,
    FeeSettled,
    OldCertificateSettled,
    RenewalConfirmed,
)
from schema.tables.log import dead_letters, events, inbox, offsets, parked
from schema.tables.renewals import renewals

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from renewal.db.unit_of_work import UnitOfWork
    from renewal.invariants.check import Reads
    from schema.events import Event

e = events.c
i = inbox.c
r = renewals.c
WAITS = ("parked", "unsure")

#: Which events move a renewal on, and for whom, in the states in which it waits for us.
_MOVES: dict[str, tuple[tuple[str, type[Event]], ...]] = {
    "confirmed": (("billing", RenewalConfirmed),),
    "fee held": (("issuance", FeeSecured),),
    "sent to CA": (("issuance", FeeSecured),),
    "activated": (
        ("billing", CertificateActivated),
        ("revocation", CertificateActivated),
        ("records", FeeSettled),
        ("records", OldCertificateSettled),
    ),
}


def _of(group: str, reads: Reads) -> sa.Select[Any]:
    """The group's events that are in nobody's book."""
    noted = sa.exists().where(i.consumer == group, i.identity == e.identity)
    return sa.select(e.identity).where(e.topic.in_(reads.topics), e.kind.in_(reads.kinds), ~noted)


def _position(group: str) -> sa.ColumnElement[int]:
    found = sa.select(offsets.c.position).where(offsets.c.consumer == group)
    return sa.func.coalesce(found.scalar_subquery(), 0)


def _passed_over(work: UnitOfWork, given: CheckInput) -> Iterator[str]:
    """
    A release that gives a consumer one more kind must settle the older events of that kind in its
    migration: from the rows alone nobody can tell them from lost ones.
    """
    for group, reads in given.groups.items() if given.log_is_here else ():
        query = _of(group, reads).where(e.seq <= _position(group))
        yield from (f"{group} {row[0]}" for row in streamed(work, query))


def _not_read(work: UnitOfWork, given: CheckInput) -> Iterator[str]:
    """
    Elsewhere the log may have forgotten it by now: what its readers have passed over is seen here.
    """
    for group, reads in given.groups.items():
        query = _of(group, reads).where(e.at < given.now - HOURS)
        if given.log_is_here:
            query = query.where(e.seq > _position(group))
        yield from (f"{group} {row[0]}" for row in streamed(work, query))


def first_not_read(
    work: UnitOfWork, groups: Mapping[str, Reads], relays: Collection[str]
) -> tuple[int, str] | None:
    """
    Of all that some group has not read and no relay has given up, the first: its place in the
    outbox, and its identity. One pass over the outbox.
    """
    given_up = sa.exists().where(
        dead_letters.c.consumer.in_(relays), dead_letters.c.identity == e.identity
    )
    found = [
        work.connection.execute(
            _of(group, reads).add_columns(e.seq).where(~given_up).order_by(e.seq).limit(1)
        ).first()
        for group, reads in groups.items()
    ]
    return min(((seq, identity) for identity, seq in filter(None, found)), default=None)


def _waits_nowhere(given: CheckInput) -> sa.Select[Any]:
    waits = sa.exists().where(parked.c.consumer == i.consumer, parked.c.identity == i.identity)
    read = sa.exists().where(
        e.identity == i.identity, offsets.c.consumer == i.consumer, e.seq <= offsets.c.position
    )
    left = read if given.log_is_here else i.at < given.now - HOURS
    lost = sa.or_(i.state.in_(WAITS), sa.and_(i.state == "begun", left))
    return sa.select(i.consumer + " " + i.identity).where(i.state != "settled", lost, ~waits)


def _dead_and_gone(_given: CheckInput) -> sa.Select[Any]:
    lies = sa.exists().where(
        dead_letters.c.consumer == i.consumer, dead_letters.c.identity == i.identity
    )
    return sa.select(i.consumer + " " + i.identity).where(i.state == "dead", ~lies)


def _overdue(given: CheckInput) -> sa.Select[Any]:
    q = parked.c
    return sa.select(q.consumer + " " + q.identity).where(q.due < given.now - HOURS)


def _behind_nothing(_given: CheckInput) -> sa.Select[Any]:
    first = parked.alias().c
    earlier = (
        sa.select(sa.func.min(first.id).label("id")).group_by(first.consumer, first.key).subquery()
    )
    q = parked.c
    return (
        sa.select(q.consumer + " " + q.key)
        .join(earlier, earlier.c.id == q.id)
        .where(q.due.is_(None))
    )


def _moved_by_nothing(_given: CheckInput) -> sa.Select[Any]:
    stuck = []
    for state, moves in _MOVES.items():
        seen = [
            sa.or_(under_way(group, identity), is_dead(group, identity))
            for group, kind in moves
            for identity in (f"{kind_name(kind)}:" + r.id,)
        ]
        stuck.append(sa.and_(r.state == state, sa.not_(sa.or_(*seen))))
    return sa.select(r.id).where(r.state.in_(tuple(_MOVES)), sa.or_(*stuck))


CHECKS = (
    Check(
        invariant="I8",
        what="an event that its consumer has passed over",
        zh="事件被消費者略過",
        find=_passed_over,
    ),
    Check(
        invariant="I8",
        what="an event that nobody has read for hours",
        zh="事件數小時無人讀取",
        find=_not_read,
    ),
    Check(
        invariant="I8",
        what="an event that was taken up, and waits nowhere",
        zh="事件已接手，卻不在等候之列",
        find=asked(_waits_nowhere),
    ),
    Check(
        invariant="I8",
        what="an event given up without a dead letter",
        zh="事件被放棄，卻沒有留下紀錄",
        find=asked(_dead_and_gone),
    ),
    Check(
        invariant="I8",
        what="an event whose time came hours ago",
        zh="事件逾期數小時未處理",
        find=asked(_overdue),
    ),
    Check(
        invariant="I8",
        what="events of a key that wait behind nothing",
        zh="同一鍵值的事件無故等候",
        find=asked(_behind_nothing),
    ),
    Check(
        invariant="I8",
        what="a renewal that waits for us, and no event moves it on",
        zh="展期等待處理，卻沒有事件推動",
        find=asked(_moved_by_nothing),
    ),
)
