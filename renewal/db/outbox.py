"""Queries of the outbox, which is the embedded event log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from renewal.db.bulk import bulk_insert
from renewal.db.notifications import notification_payload, notify
from schema.events import Topic
from schema.tables.log import events

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

#: What an event on the log is made of, in the order in which it is told.
EVENT_COLUMNS = ("topic", "key", "kind", "identity", "at", "body")
# One fact told twice is one event.
_tell = bulk_insert(events, EVENT_COLUMNS, unless=["identity"])
# Sequence numbers are given before the commit, so that a reader of "seq > last" would skip one
# that commits late. Under this lock, held to the end of the transaction, those of a lane commit in
# order. Other processes are told of the commit: a NOTIFY makes committers wait for each other too,
# for as long as a commit takes.
_in_order = sa.select(
    sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(sa.bindparam("lane"), 0)), notify
)
CODES, OTHERS = LANES = "events.codes", "events"


def append_events(
    connection: sa.Connection, who: str, kinds: Collection[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Append events to the log in this order; ``who`` identifies the store's own commits."""
    if connection.dialect.name == "postgresql":
        payload = notification_payload(who, kinds)
        for lane in sorted({lane_of(topic) for topic, *_ in rows}):
            connection.execute(_in_order, {"lane": lane, "told": payload})
    _tell.execute(connection, rows)


def lane_of(topic: str) -> str:
    """
    One-time codes have a lane of their own, so that none waits for a bulk run to commit.

    Order holds within a lane only: no reader reads two lanes with one position.
    """
    return CODES if topic == Topic.CODES else OTHERS
