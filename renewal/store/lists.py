"""Lists and counts for whoever looks at the house from the command line."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from renewal.store import log
from schema.events import Topic
from schema.tables.log import dead_letters, events, inbox, offsets, parked
from schema.tables.people import certificates
from schema.tables.renewals import OPEN, decisions, messages, renewals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from renewal.eventlog.port import Record
    from renewal.store.rows import Message, Renewal
    from renewal.store.work import Work

_STATES = {"certificates": certificates, "renewals": renewals, "messages": messages}


class Standing(NamedTuple):
    """
    How one consumer stands to the log.
    """

    position: int
    behind: int  #: events on its topics that it has not taken yet; embedded, of its kinds only
    parked: int
    dead: int
    next_due: datetime | None  #: of the parked ones


def by_state(look: Work) -> Mapping[str, Mapping[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for name, table in _STATES.items():
        query = sa.select(table.c.state, sa.func.count()).group_by(table.c.state)
        rows = look.connection.execute(query.order_by(table.c.state))
        found[name] = dict(rows.all())
    return found


def standing(
    look: Work,
    consumer: str,
    topics: Sequence[str],
    kinds: Sequence[str],
    *,
    behind: int | None = None,
) -> Standing:
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
    return Standing(
        position=position,
        behind=behind,
        parked=count,
        dead=look.connection.scalar(dead) or 0,
        next_due=due,
    )


def _behind(
    look: Work, consumer: str, position: int, topics: Sequence[str], kinds: Sequence[str]
) -> int:
    """
    Of the embedded log: an offset is noted late, so the inbox has the last word.
    """
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


def next_reminder(look: Work) -> datetime | None:
    """
    When the next certificate must be looked at for a reminder.
    """
    query = sa.select(sa.func.min(certificates.c.remind_at)).where(
        certificates.c.state == sa.literal_column("'active'"),
        certificates.c.remind_at.is_not(None),
    )
    found: datetime | None = look.connection.scalar(query)
    return found


def events_since(look: Work, places: Mapping[str, int], at_most: int) -> Sequence[Record]:
    """
    The next events of each lane after its own place, in the order of their numbers.
    """
    codes = Topic.CODES.value
    found = [
        *log.events_after(look, [codes], places[log.CODES], at_most),
        *log.others_after(look, codes, places[log.OTHERS], at_most),
    ]
    return sorted(found, key=attrgetter("position"))


def branch_calls(look: Work, *, after: int, at_most: int) -> Sequence[Mapping[str, Any]]:
    """
    Whom no message has reached, while the certificate is still in force and not being renewed.

    One row for each certificate: the last decision that its branch must call.
    """
    last = (
        sa.select(sa.func.max(decisions.c.id).label("id"))
        .where(decisions.c.what == "branch call", decisions.c.certificate > after)
        .group_by(decisions.c.certificate)
        .subquery()
    )
    busy = sa.select(renewals.c.certificate).where(renewals.c.state.in_(OPEN))
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
        )
        .join(last, last.c.id == decisions.c.id)
        .join(certificates, certificates.c.id == decisions.c.certificate)
        .where(certificates.c.state == "active", certificates.c.id.not_in(busy))
        .order_by(certificates.c.id)
        .limit(at_most)
    )
    return [dict(row) for row in look.connection.execute(query).mappings()]


def newest_messages(
    look: Work, *, customer: int | None, state: str | None, at_most: int
) -> Sequence[Message]:
    """
    The last messages, oldest first.
    """
    query = sa.select(messages).order_by(messages.c.owed_at.desc(), messages.c.id.desc())
    if customer is not None:
        query = query.where(messages.c.customer == customer)
    if state is not None:
        query = query.where(messages.c.state == state)
    return look.messages.read(query.limit(at_most))[::-1]


def messages_by_id(look: Work, ids: Sequence[str]) -> Mapping[str, Message]:
    look.messages.load(ids)
    found = {one: look.messages.find(one) for one in ids}
    return {one: row for one, row in found.items() if row is not None}


def renewals_making(look: Work, certificate: int) -> Sequence[Renewal]:
    """
    The renewals that have made this certificate: one, or none.
    """
    query = sa.select(renewals).where(renewals.c.new_certificate == certificate)
    return look.renewals.read(query)
