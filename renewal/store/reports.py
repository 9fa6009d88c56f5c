"""Lists and counts for the command line."""

from __future__ import annotations

from datetime import timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from renewal.db import outbox
from renewal.eventlog import queries
from renewal.store.renewals import is_taken_up
from schema.events import Topic
from schema.reasons import DeferralReason
from schema.tables.log import dead_letters, events, inbox, offsets, parked
from schema.tables.people import certificates
from schema.tables.renewals import decisions, messages, renewals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from renewal.db.rows import Message, Renewal
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.eventlog.port import Record

_STATES = {"certificates": certificates, "renewals": renewals, "messages": messages}


class ConsumerStatus(NamedTuple):
    """How one consumer stands to the log."""

    position: int
    behind: int  #: events on its topics that it has not taken yet; embedded, of its kinds only
    parked: int
    dead: int
    next_due: datetime | None  #: of the parked ones


def by_state(look: UnitOfWork) -> Mapping[str, Mapping[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for name, table in _STATES.items():
        query = sa.select(table.c.state, sa.func.count()).group_by(table.c.state)
        rows = look.connection.execute(query.order_by(table.c.state))
        found[name] = dict(rows.all())
    return found


def consumer_status(
    look: UnitOfWork,
    consumer: str,
    topics: Sequence[str],
    kinds: Sequence[str],
    *,
    behind: int | None = None,
) -> ConsumerStatus:
    """
    Count what waits for a consumer. ``behind``: what the log itself says of it, where it does.
    """
    position = (
        look.connection.scalar(sa.select(offsets.c.position).where(offsets.c.consumer == consumer))
        or 0
    )
    waiting = sa.select(sa.func.count(), sa.func.min(parked.c.due)).where(
        parked.c.consumer == consumer
    )
    dead = sa.select(sa.func.count()).where(
        dead_letters.c.consumer == consumer, dead_letters.c.state == "open"
    )
    count, due = look.connection.execute(waiting).one()
    if behind is None:
        behind = _behind(look, consumer, position, topics, kinds)
    return ConsumerStatus(
        position=position,
        behind=behind,
        parked=count,
        dead=look.connection.scalar(dead) or 0,
        next_due=due,
    )


def _behind(
    look: UnitOfWork, consumer: str, position: int, topics: Sequence[str], kinds: Sequence[str]
) -> int:
    """Of the embedded log: an offset is noted late, so the inbox has the last word."""
    taken = sa.select(inbox.c.identity).where(
        inbox.c.consumer == consumer, inbox.c.identity == events.c.identity
    )
    not_taken = sa.select(sa.func.count()).where(
        events.c.topic.in_(topics),
        events.c.seq > position,
        events.c.kind.in_(kinds),
        ~taken.exists(),
    )
    return look.connection.scalar(not_taken) or 0


def next_reminder(look: UnitOfWork) -> datetime | None:
    """When the next certificate must be looked at for a reminder."""
    query = sa.select(sa.func.min(certificates.c.remind_at)).where(
        certificates.c.state == sa.literal_column("'active'"),
        certificates.c.remind_at.is_not(None),
    )
    found: datetime | None = look.connection.scalar(query)
    return found


def held_on_first_days(look: UnitOfWork) -> int:
    """Certificates whose reminder waits because the bank has gone live only lately."""
    d = decisions.c
    query = sa.select(sa.func.count(d.certificate.distinct())).where(
        d.about == "reminder",
        d.what == "deferred",
        d.why == DeferralReason.FIRST_DAYS.value,
        d.until > look.at,
    )
    return look.connection.scalar(query) or 0


def events_since(look: UnitOfWork, places: Mapping[str, int], at_most: int) -> Sequence[Record]:
    """The next events of each lane after its own place, in the order of their numbers."""
    codes = Topic.CODES.value
    found = [
        *queries.events_after(look, [codes], places[outbox.CODES], at_most),
        *queries.others_after(look, codes, places[outbox.OTHERS], at_most),
    ]
    return sorted(found, key=attrgetter("position"))


#: A call about news that is older is of no use.
CALLED_WITHIN = timedelta(days=30)


def branch_calls(look: UnitOfWork, *, after: int, at_most: int) -> Sequence[Mapping[str, Any]]:
    """
    Whom no message has reached, while the certificate is still in force and not being renewed.

    One row for each certificate: the last decision that its branch must call, unless a call since
    has ended it; and what came of the last call, if one was tried.
    """
    ended, tried = _last_call("ended"), _last_call("tried")
    noted = decisions.alias("noted")
    last = (
        sa.select(sa.func.max(decisions.c.id).label("id"))
        .where(decisions.c.what == "branch call", decisions.c.certificate > after)
        .group_by(decisions.c.certificate)
        .subquery()
    )
    busy = sa.select(renewals.c.certificate).where(is_taken_up)
    query = (
        sa.select(
            certificates.c.id.label("certificate"),
            certificates.c.customer,
            certificates.c.product,
            certificates.c.serial,
            certificates.c.not_after,
            decisions.c.at,
            decisions.c.why,
            decisions.c.threshold,
            noted.c.at.label("tried_at"),
            noted.c.why.label("tried"),
        )
        .join(last, last.c.id == decisions.c.id)
        .join(certificates, certificates.c.id == decisions.c.certificate)
        .outerjoin(noted, sa.and_(noted.c.id == tried, noted.c.id > decisions.c.id))
        .where(
            decisions.c.id > sa.func.coalesce(ended, 0),
            sa.or_(
                sa.and_(certificates.c.state == "active", certificates.c.id.not_in(busy)),
                # News that reached nobody, also of what is no longer in force.
                sa.and_(decisions.c.about == "notice", decisions.c.at >= look.at - CALLED_WITHIN),
            ),
        )
        .order_by(certificates.c.id)
        .limit(at_most)
    )
    return [dict(row) for row in look.connection.execute(query).mappings()]


def _last_call(what: str) -> sa.ScalarSelect[int]:
    """The last call about the certificate that came to this."""
    call = decisions.alias(what)
    return (
        sa.select(sa.func.max(call.c.id))
        .where(call.c.certificate == certificates.c.id, call.c.about == "call", call.c.what == what)
        .scalar_subquery()
    )


def newest_messages(
    look: UnitOfWork, *, customer: int | None, state: str | None, at_most: int
) -> Sequence[Message]:
    """The last messages, oldest first."""
    query = sa.select(messages).order_by(messages.c.owed_at.desc(), messages.c.id.desc())
    if customer is not None:
        query = query.where(messages.c.customer == customer)
    if state is not None:
        query = query.where(messages.c.state == state)
    return look.messages.read(query.limit(at_most))[::-1]


def messages_by_id(look: UnitOfWork, ids: Sequence[str]) -> Mapping[str, Message]:
    look.messages.load(ids)
    found = {one: look.messages.find(one) for one in ids}
    return {one: row for one, row in found.items() if row is not None}


def renewals_making(look: UnitOfWork, certificate: int) -> Sequence[Renewal]:
    """The renewals that have made this certificate: one, or none."""
    query = sa.select(renewals).where(renewals.c.new_certificate == certificate)
    return look.renewals.read(query)
