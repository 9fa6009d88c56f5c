"""What a consumer has begun and settled, what waits for it, and what it has given up."""

from __future__ import annotations

from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from renewal.eventlog.port import Record
from renewal.store.among import among, one_by_one
from renewal.store.many import adding, array_of, changing
from renewal.store.shelf import pages
from schema.tables.log import dead_letters, inbox, parked

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from renewal.store.work import Work


class State(StrEnum):
    """
    What a consumer has made of an event; none yet, if it is not in the inbox.
    """

    BEGUN = "begun"  #: taken from the log; nobody knows the end of the attempt
    PARKED = "parked"  #: waits, and nothing is open
    UNSURE = "unsure"  #: waits, and nobody knows the end of an attempt
    SETTLED = "settled"
    DEAD = "dead"


OPEN = (State.BEGUN, State.UNSURE)
ENDED = (State.SETTLED, State.DEAD)


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """
    An event on its way through one consumer.
    """

    record: Record
    parked: int | None = None  #: its row among the parked, if it waits there
    tries: int = 0  #: that were spent before this one
    outages: int = 0  #: so many of them found the other side away

    def is_dealt_with(self, state: State | None) -> bool:
        """
        Whether it has ended, or is the log's second copy of one that waits among the parked.
        """
        taken_over = self.parked is None and state in {State.PARKED, State.UNSURE}
        return taken_over or state in ENDED


_record = ("topic", "key", "kind", "identity", "at", "body", "traceparent")
_columns = attrgetter(*_record)
_ours = inbox.c.consumer == sa.bindparam("consumer")
_states = one_by_one((inbox.c.identity, inbox.c.state), inbox.c.identity, _ours)
# Another member that concludes one of them in the same moment waits, and sees that it has ended.
_held = one_by_one((inbox.c.identity, inbox.c.state), inbox.c.identity, _ours, held=True)
_note = adding(inbox, ("state", "at", "consumer", "identity"))
_note_again = changing(inbox, ("state", "at"), by=("consumer", "identity"))
# Locked where the database has row locks: an event that is about to wait behind these must
# be seen by whoever ends the last of them, or it would wait for ever.
_waiting = (
    sa.select(parked.c.key)
    .where(
        parked.c.consumer == sa.bindparam("consumer"),
        among(parked.c.key, "keys"),
    )
    .with_for_update(read=True)
)
_park = adding(parked, (*_record, "consumer", "due", "tries", "outages", "why"))
_park_again = changing(parked, ("due", "tries", "outages", "why"), by=("id",))
_unpark = sa.delete(parked).where(among(parked.c.id, "rows"))
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
        parked.c.id.in_(_first.where(among(_following.c.key, "keys")).group_by(_following.c.key))
    ),
    "postgresql": _come_forward.where(
        parked.c.id == sa.any_(sa.func.array(_first_of_each.scalar_subquery()))
    ),
}
_bury = adding(dead_letters, (*_record, "consumer", "tries", "why", "died_at", "state"))
_due = (
    sa.select(parked)
    .where(parked.c.consumer == sa.bindparam("consumer"), parked.c.due <= sa.bindparam("now"))
    .order_by(parked.c.due, parked.c.id)
    .limit(sa.bindparam("at_most"))
)


class Inbox:
    """
    One consumer's book in one transaction.

    What is written is collected until ``flush``: one statement for each kind of change.
    """

    def __init__(self, work: Work, consumer: str) -> None:
        self._work = work
        self._consumer = consumer
        self._known: dict[str, State] = {}
        self._notes: dict[str, State] = {}
        self._parked: list[tuple[object, ...]] = []
        self._parked_again: list[tuple[object, ...]] = []
        self._freed: list[Item] = []
        self._buried: list[tuple[object, ...]] = []

    def load(self, identities: Collection[str]) -> None:
        connection = self._work.connection
        states = (_held if self._work.writes else _states)[connection.dialect.name]
        # In one order, so that two who hold some of the same do not wait for each other.
        for page in pages(sorted(identities)):
            named = {"consumer": self._consumer, "keys": page}
            for identity, state in connection.execute(states, named):
                self._known[identity] = State(state)

    def state(self, item: Item) -> State | None:
        """
        Return its state as loaded.
        """
        return self._known.get(item.record.identity)

    def keys_that_wait(self, keys: Collection[str]) -> set[str]:
        found: set[str] = set()
        for page in pages(keys):
            named = {"consumer": self._consumer, "keys": page}
            found.update(self._work.connection.scalars(_waiting, named))
        return found

    def note(self, item: Item, state: State) -> None:
        self._notes[item.record.identity] = state

    def park(
        self, item: Item, *, due: datetime | None, tries: int, why: str, outages: int = 0
    ) -> None:
        """
        Let an event wait until then, or, without ``due``, behind an earlier one of its key.
        """
        if item.parked is None:
            event = _columns(item.record)
            self._parked.append((*event, self._consumer, due, tries, outages, told(why)))
        else:
            self._parked_again.append((due, tries, outages, told(why), item.parked))

    def unpark(self, item: Item) -> None:
        """
        The event waits no more, and the next of its key comes forward.
        """
        if item.parked is not None:
            self._freed.append(item)

    def bury(self, item: Item, why: str, *, tries: int) -> None:
        event = _columns(item.record)
        died = (self._consumer, tries, told(why), self._work.at, "open")
        self._buried.append((*event, *died))

    def flush(self) -> None:
        self._flush_notes()
        connection = self._work.connection
        if self._parked:
            _park.execute(connection, self._parked)
        if self._parked_again:
            _park_again.execute(connection, self._parked_again)
        self._flush_freed()
        if self._buried:
            _bury.execute(connection, self._buried)

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


def told(why: str, width: int = 300) -> str:
    """
    A reason as it fits its column, whatever the world outside has said: PostgreSQL takes neither a
    NUL nor half of a surrogate pair in a text.
    """
    return why.replace("\0", "").encode(errors="replace").decode()[:width]


def due(work: Work, consumer: str, at_most: int) -> Sequence[Item]:
    """
    The parked events whose time has come, at most one for each key.
    """
    named = {"consumer": consumer, "now": work.at, "at_most": at_most}
    return [
        Item(
            record=Record(position=0, **{name: row[name] for name in _record}),
            parked=row["id"],
            tries=row["tries"],
            # A program before this one did not count them apart: then none is held against it.
            outages=row["tries"] if row["outages"] is None else row["outages"],
        )
        for row in work.connection.execute(_due, named).mappings()
    ]


def next_due(work: Work, consumer: str) -> datetime | None:
    """
    When the next parked event's time comes.
    """
    earliest = sa.select(sa.func.min(parked.c.due)).where(parked.c.consumer == consumer)
    found: datetime | None = work.connection.scalar(earliest)
    return found
