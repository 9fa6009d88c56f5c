"""What a consumer has begun, settled, parked and given up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from renewal.eventlog.port import Record
from renewal.store.shelf import pages
from schema.tables.log import dead_letters, inbox, parked

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from renewal.store.work import Work


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """
    An event on its way through one consumer.
    """

    record: Record
    parked: int | None = None  #: its row among the parked, if it waits there
    tries: int = 0  #: that were spent before this one


def states(work: Work, consumer: str, identities: Collection[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for page in pages(identities):
        query = sa.select(inbox.c.identity, inbox.c.state).where(
            inbox.c.consumer == consumer, inbox.c.identity.in_(page)
        )
        found.update(row._tuple() for row in work.connection.execute(query))
    return found


def note(work: Work, consumer: str, known: dict[str, str], notes: dict[str, str]) -> None:
    """
    Write the new states; ``known`` are those that were there before.
    """
    rows = [
        {"consumer": consumer, "identity": identity, "state": state, "at": work.at}
        for identity, state in notes.items()
        if known.get(identity) != state
    ]
    new = [row for row in rows if row["identity"] not in known]
    old = [row for row in rows if row["identity"] in known]
    if new:
        work.connection.execute(sa.insert(inbox), new)
    if old:
        work.connection.execute(
            sa.update(inbox)
            .where(
                inbox.c.consumer == sa.bindparam("who"),
                inbox.c.identity == sa.bindparam("which"),
            )
            .values(state=sa.bindparam("now"), at=sa.bindparam("then")),
            [
                {"who": consumer, "which": row["identity"], "now": row["state"], "then": work.at}
                for row in old
            ],
        )


_record = ("topic", "key", "kind", "identity", "at", "body")
_due = (
    sa.select(parked)
    .where(parked.c.consumer == sa.bindparam("consumer"), parked.c.due <= sa.bindparam("now"))
    .order_by(parked.c.due, parked.c.id)
    .limit(sa.bindparam("at_most"))
)


def due(work: Work, consumer: str, at_most: int) -> Sequence[Item]:
    """
    The parked events whose time has come, at most one for each key.
    """
    found = work.connection.execute(
        _due, {"consumer": consumer, "now": work.at, "at_most": at_most}
    )
    return [
        Item(
            record=Record(position=0, **{name: row[name] for name in _record}),
            parked=row["id"],
            tries=row["tries"],
        )
        for row in found.mappings()
    ]


def next_due(work: Work, consumer: str) -> datetime | None:
    return work.connection.scalar(
        sa.select(sa.func.min(parked.c.due)).where(parked.c.consumer == consumer)
    )


def keys_that_wait(work: Work, consumer: str, keys: Collection[str]) -> set[str]:
    found: set[str] = set()
    for page in pages(keys):
        query = sa.select(parked.c.key).where(parked.c.consumer == consumer, parked.c.key.in_(page))
        found.update(work.connection.scalars(query))
    return found


def park(
    work: Work, consumer: str, item: Item, *, due: datetime | None, tries: int, why: str
) -> None:
    """
    Let an event wait until then, or behind an earlier one of its key.
    """
    if item.parked is not None:
        work.connection.execute(
            sa.update(parked)
            .where(parked.c.id == item.parked)
            .values(due=due, tries=tries, why=why[:300])
        )
        return
    row = {name: getattr(item.record, name) for name in _record}
    work.connection.execute(
        sa.insert(parked),
        {**row, "consumer": consumer, "due": due, "tries": tries, "why": why[:300]},
    )


def unpark(work: Work, consumer: str, item: Item) -> None:
    """
    The event waits no more, and the next of its key may come forward.
    """
    work.connection.execute(sa.delete(parked).where(parked.c.id == item.parked))
    following = (
        sa.select(sa.func.min(parked.c.id))
        .where(parked.c.consumer == consumer, parked.c.key == item.record.key)
        .scalar_subquery()
    )
    work.connection.execute(sa.update(parked).where(parked.c.id == following).values(due=work.at))


def bury(work: Work, consumer: str, item: Item, why: str) -> None:
    row = {name: getattr(item.record, name) for name in _record}
    work.connection.execute(
        sa.insert(dead_letters),
        {
            **row,
            "consumer": consumer,
            "tries": item.tries,
            "why": why[:300],
            "died_at": work.at,
            "state": "open",
        },
    )
