"""The inbox of a consumer: begun and settled events, parked events, dead letters."""

from __future__ import annotations

from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from renewal.db.bulk import array_of, bulk_insert, bulk_update
from renewal.db.identity_map import pages
from renewal.db.key_lookup import key_in, lookup_by_keys
from renewal.eventlog.port import Record
from schema.tables.log import dead_letters, inbox, parked

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from renewal.db.unit_of_work import UnitOfWork
    from schema.reasons import Reason


class InboxState(StrEnum):
    """A consumer's state of an event; none if it is not in the inbox."""

    BEGUN = "begun"  #: taken from the log; nobody knows the end of the attempt
    PARKED = "parked"  #: waits, and nothing is open
    UNSURE = "unsure"  #: waits, and nobody knows the end of an attempt
    SETTLED = "settled"
    DEAD = "dead"


OPEN = (InboxState.BEGUN, InboxState.UNSURE)
WHY_WIDTH = 300  #: of the columns that keep a reason
ENDED = (InboxState.SETTLED, InboxState.DEAD)


class InboxItem(msgspec.Struct, frozen=True, kw_only=True):
    """An event on its way through one consumer."""

    record: Record
    parked: int | None = None  #: its row among the parked, if it waits there
    tries: int = 0  #: that were spent before this one
    outages: int = 0  #: so many of them found the other side away

    def is_dealt_with(self, state: InboxState | None) -> bool:
        """Whether it has ended, or is the log's second copy of a parked event."""
        taken_over = self.parked is None and state in {InboxState.PARKED, InboxState.UNSURE}
        return taken_over or state in ENDED


_record = ("topic", "key", "kind", "identity", "at", "body", "traceparent")
_columns = attrgetter(*_record)
_ours = inbox.c.consumer == sa.bindparam("consumer")
_states = lookup_by_keys((inbox.c.identity, inbox.c.state), inbox.c.identity, _ours)
# Another member that concludes one of them in the same moment waits, and sees that it has ended.
_held = lookup_by_keys((inbox.c.identity, inbox.c.state), inbox.c.identity, _ours, held=True)
_note = bulk_insert(inbox, ("state", "at", "consumer", "identity"))
_note_again = bulk_update(inbox, ("state", "at"), by=("consumer", "identity"))
# Locked where the database has row locks: an event that is about to wait behind these must
# be seen by whoever ends the last of them, or it would wait for ever.
_waiting = (
    sa.select(parked.c.key)
    .where(
        parked.c.consumer == sa.bindparam("consumer"),
        key_in(parked.c.key, "keys"),
    )
    .with_for_update(read=True)
)
_park = bulk_insert(parked, (*_record, "consumer", "due", "tries", "outages", "why"))
_park_again = bulk_update(parked, ("due", "tries", "outages", "why"), by=("id",))
_unpark = sa.delete(parked).where(key_in(parked.c.id, "rows"))
_following = parked.alias()
_first = sa.select(sa.func.min(_following.c.id)).where(_following.c.consumer == sa.bindparam("who"))
_given = (
    sa.func.unnest(sa.bindparam("keys", type_=array_of(parked.c.key.type)))
    .table_valued("key")
    .render_derived()
)
_first_of_each = sa.select(
    _first.where(_following.c.key == _given.c.key).scalar_subquery()
).select_from(_given)
_come_forward = sa.update(parked).where(parked.c.due.is_(None)).values(due=sa.bindparam("from_now"))
# One by one on PostgreSQL, as the states: an outage parks much before the next ANALYZE.
_free: dict[str, sa.Update] = {
    "sqlite": _come_forward.where(
        parked.c.id.in_(_first.where(key_in(_following.c.key, "keys")).group_by(_following.c.key))
    ),
    "postgresql": _come_forward.where(
        parked.c.id == sa.any_(sa.func.array(_first_of_each.scalar_subquery()))
    ),
}
_bury = bulk_insert(dead_letters, (*_record, "consumer", "tries", "why", "died_at", "state"))
_due = (
    sa.select(parked)
    .where(parked.c.consumer == sa.bindparam("consumer"), parked.c.due <= sa.bindparam("now"))
    .order_by(parked.c.due, parked.c.id)
    .limit(sa.bindparam("at_most"))
)


class Inbox:
    """Inbox rows of one consumer group in one transaction, buffered and written on flush."""

    def __init__(self, work: UnitOfWork, consumer: str) -> None:
        self._work = work
        self._consumer = consumer
        self._known: dict[str, InboxState] = {}
        self._notes: dict[str, InboxState] = {}
        self._parked: list[tuple[object, ...]] = []
        self._parked_again: list[tuple[object, ...]] = []
        self._freed: list[InboxItem] = []
        self._dead_letters: list[tuple[object, ...]] = []

    def load(self, identities: Collection[str]) -> None:
        connection = self._work.connection
        states = (_held if self._work.writes else _states)[connection.dialect.name]
        # In one order, so that two who hold some of the same do not wait for each other.
        for page in pages(sorted(identities)):
            named = {"consumer": self._consumer, "keys": page}
            for identity, state in connection.execute(states, named):
                self._known[identity] = InboxState(state)

    def state(self, item: InboxItem) -> InboxState | None:
        """Return the state as loaded."""
        return self._known.get(item.record.identity)

    def blocked_keys(self, keys: Collection[str]) -> set[str]:
        found: set[str] = set()
        for page in pages(keys):
            named = {"consumer": self._consumer, "keys": page}
            found.update(self._work.connection.scalars(_waiting, named))
        return found

    def note(self, item: InboxItem, state: InboxState) -> None:
        self._notes[item.record.identity] = state

    def park(
        self, item: InboxItem, *, due: datetime | None, tries: int, why: Reason, outages: int = 0
    ) -> None:
        """Park an event until ``due`` or, without it, behind an earlier event of its key."""
        if item.parked is None:
            event = _columns(item.record)
            self._parked.append(
                (*event, self._consumer, due, tries, outages, why.stored(WHY_WIDTH))
            )
        else:
            self._parked_again.append((due, tries, outages, why.stored(WHY_WIDTH), item.parked))

    def unpark(self, item: InboxItem) -> None:
        """Remove the event from the parked ones, and make the next of its key due."""
        if item.parked is not None:
            self._freed.append(item)

    def add_dead_letter(self, item: InboxItem, why: Reason, *, tries: int) -> None:
        event = _columns(item.record)
        died = (self._consumer, tries, why.stored(WHY_WIDTH), self._work.at, "open")
        self._dead_letters.append((*event, *died))

    def flush(self) -> None:
        self._flush_notes()
        connection = self._work.connection
        if self._parked:
            _park.execute(connection, self._parked)
        if self._parked_again:
            _park_again.execute(connection, self._parked_again)
        self._flush_freed()
        if self._dead_letters:
            _bury.execute(connection, self._dead_letters)

    def _flush_notes(self) -> None:
        new, old = [], []
        who, at = self._consumer, self._work.at
        for identity, state in self._notes.items():
            known = self._known.get(identity)
            if known is None:
                new.append((str(state), at, who, identity))
            elif known is not state:
                old.append((str(state), at, who, identity))
        if new:
            _note.execute(self._work.connection, new)
        if old:
            _note_again.execute(self._work.connection, old)

    def _flush_freed(self) -> None:
        connection = self._work.connection
        for page in pages([item.parked for item in self._freed]):
            connection.execute(_unpark, {"rows": page})
        # Only then, so that which is the next of a key is seen as all of them have left it.
        free, who, at = _free[connection.dialect.name], self._consumer, self._work.at
        for page in pages({item.record.key for item in self._freed}):
            connection.execute(free, {"who": who, "keys": page, "from_now": at})


def due(work: UnitOfWork, consumer: str, at_most: int) -> Sequence[InboxItem]:
    """The parked events that are due, at most one for each key."""
    named = {"consumer": consumer, "now": work.at, "at_most": at_most}
    return [
        InboxItem(
            record=Record(position=0, **{name: row[name] for name in _record}),
            parked=row["id"],
            tries=row["tries"],
            # A program before this one did not count them apart: then none is held against it.
            outages=row["tries"] if row["outages"] is None else row["outages"],
        )
        for row in work.connection.execute(_due, named).mappings()
    ]


def next_due(work: UnitOfWork, consumer: str) -> datetime | None:
    """When the next parked event is due."""
    earliest = sa.select(sa.func.min(parked.c.due)).where(parked.c.consumer == consumer)
    found: datetime | None = work.connection.scalar(earliest)
    return found
