"""Counts over the whole store, for reports."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime  # noqa: TC003 - a NamedTuple's field
from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from schema.tables.books import accounts
from schema.tables.log import dead_letters, events, parked
from schema.tables.people import certificates
from schema.tables.renewals import OPEN, decisions, messages, reminder_claims, renewals

if TYPE_CHECKING:
    from renewal.db.unit_of_work import UnitOfWork


class News(NamedTuple):
    """
    What has come since an event: of which kinds, the newest of all, and whose waiting is over.
    """

    kinds: frozenset[str]
    newest: int
    due: frozenset[str]  # consumers
    next_due: datetime | None  # when the next waiting is over, if any is left


_come = (
    sa.select(events.c.kind, sa.func.max(events.c.seq))
    .where(events.c.seq > sa.bindparam("since"))
    .group_by(events.c.kind)
)
_due = (
    sa.select(parked.c.consumer, sa.func.min(parked.c.due))
    .where(parked.c.due.is_not(None))
    .group_by(parked.c.consumer)
)


def news(work: UnitOfWork, since: int) -> News:
    found = work.connection.execute(_come, {"since": since}).all()
    waiting = work.connection.execute(_due).all()
    due = frozenset(consumer for consumer, first in waiting if first <= work.at)
    next_due = min((first for _, first in waiting if first > work.at), default=None)
    newest = max((row[1] for row in found), default=since)
    return News(frozenset(row[0] for row in found), newest, due, next_due)


def by_product(work: UnitOfWork) -> dict[str, dict[str, int]]:
    """For each product: certificates, how many were reminded of, and how their renewals stand."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    state, product = certificates.c.state, certificates.c.product
    for row in work.connection.execute(
        sa.select(product, state, sa.func.count()).group_by(product, state).order_by(product)
    ):
        found[row[0]]["certificates"] += row[2]
        if row[1] == "expired":
            found[row[0]]["expired"] += row[2]
    reminded = (
        sa.select(product, sa.func.count(sa.distinct(reminder_claims.c.certificate)))
        .join(reminder_claims, reminder_claims.c.certificate == certificates.c.id)
        .group_by(product)
    )
    for row in work.connection.execute(reminded):
        found[row[0]]["reminded"] = row[1]
    for row in work.connection.execute(
        sa.select(renewals.c.product, renewals.c.state, sa.func.count()).group_by(
            renewals.c.product, renewals.c.state
        )
    ):
        name = "renewed" if row[1] in {"done", "activated"} else row[1]
        found[row[0]]["under way" if row[1] in OPEN and name != "renewed" else name] += row[2]
    return {name: dict(counts) for name, counts in found.items()}


def messages_by_kind(work: UnitOfWork) -> dict[str, int]:
    query = sa.select(
        messages.c.kind, messages.c.channel, messages.c.state, sa.func.count()
    ).group_by(messages.c.kind, messages.c.channel, messages.c.state)
    rows = work.connection.execute(query.order_by(messages.c.kind, messages.c.channel))
    return {f"{kind} {channel} {state}": count for kind, channel, state, count in rows}


def refusals(work: UnitOfWork) -> dict[str, int]:
    query = (
        sa.select(decisions.c.why, sa.func.count())
        .where(decisions.c.about == "renewal", decisions.c.what.in_(("refused", "abandoned")))
        .group_by(decisions.c.why)
        .order_by(decisions.c.why)
    )
    return {why: count for why, count in work.connection.execute(query)}  # noqa: C416 - rows are no pairs to mypy


def balances(work: UnitOfWork) -> dict[str, int]:
    query = sa.select(accounts.c.id, accounts.c.posted).order_by(accounts.c.id)
    return {name: posted for name, posted in work.connection.execute(query)}  # noqa: C416 - as above


def dead(work: UnitOfWork) -> int:
    """Dead letters that nobody has dealt with."""
    query = sa.select(sa.func.count()).where(dead_letters.c.state == "open")
    return work.connection.scalar(query) or 0
