"""Cheap counts for metrics, which read no whole table."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from schema.tables.log import events, offsets
from schema.tables.people import certificates
from schema.tables.renewals import OPEN, decisions, messages, reminder_claims, renewals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from renewal.db.unit_of_work import UnitOfWork


class LoggedDecision(NamedTuple):
    """One line of ``decisions``, without whom it is about."""

    id: int
    about: str
    what: str
    channel: str | None
    at: datetime
    threshold: int | None  #: these three of a reminder only
    product: str | None
    not_after: datetime | None


def newest_decision(look: UnitOfWork) -> int:
    return look.connection.scalar(sa.select(sa.func.max(decisions.c.id))) or 0


def decided_after(look: UnitOfWork, last: int, at_most: int) -> Sequence[LoggedDecision]:
    """
    What was decided since, in order. On PostgreSQL a line that is committed late may be left out.
    """
    is_reminder = sa.and_(
        decisions.c.certificate == certificates.c.id, decisions.c.about == "reminder"
    )
    # A message may have been claimed for one step and told at a later one: the most urgent counts.
    step = (
        sa.select(sa.func.min(reminder_claims.c.threshold))
        .where(
            reminder_claims.c.message == decisions.c.message,
            reminder_claims.c.certificate == decisions.c.certificate,
        )
        .scalar_subquery()
    )
    query = (
        sa.select(
            *(decisions.c[name] for name in LoggedDecision._fields[:5]),
            step,
            certificates.c.product,
            certificates.c.not_after,
        )
        .outerjoin(certificates, is_reminder)
        .where(decisions.c.id > last)
        .order_by(decisions.c.id)
        .limit(at_most)
    )
    return [LoggedDecision._make(row) for row in look.connection.execute(query)]


def messages_by_state(look: UnitOfWork) -> Mapping[tuple[str, str, str], int]:
    """Count messages for each kind, channel and state."""
    names = (messages.c.kind, messages.c.channel, messages.c.state)
    query = sa.select(*names, sa.func.count()).group_by(*names)
    return {row[:3]: row[3] for row in map(tuple, look.connection.execute(query))}


def at_branches(look: UnitOfWork) -> Mapping[tuple[str, str], tuple[int, datetime]]:
    """For each branch and state of an open renewal there: how many, and since when the oldest."""
    names = (renewals.c.branch, renewals.c.state)
    query = (
        sa.select(*names, sa.func.count(), sa.func.min(renewals.c.moved_at))
        .where(renewals.c.state.in_(OPEN), renewals.c.branch.is_not(None))
        .group_by(*names)
    )
    return {(row[0], row[1]): (row[2], row[3]) for row in look.connection.execute(query)}


def not_relayed(look: UnitOfWork, lane: str, topics: Sequence[str], *, others: bool) -> int:
    """How many events behind a relay's place wait for it; ``others``: of all but those topics."""
    position = sa.select(offsets.c.position).where(offsets.c.consumer == lane).scalar_subquery()
    there = events.c.topic.in_(topics)
    query = sa.select(sa.func.count()).where(
        events.c.seq > sa.func.coalesce(position, 0), ~there if others else there
    )
    return look.connection.scalar(query) or 0
