"""What a consumer has begun and settled, what waits for it, and what it has given up."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from renewal.eventlog.port import Record
from renewal.store.among import among
from renewal.store.many import adding, array_of, changing
from renewal.store.shelf import pages
from schema.tables.log import dead_letters, inbox, parked

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """
    An event on its way through one consumer.
    """

    record: Record
    parked: int | None = None  #: its row among the parked, if it waits there
    tries: int = 0  #: that were spent before this one

    def is_dealt_with(self, state: State | None) -> bool:
        """
        Whether it has ended, or is the log's second copy of one that waits among the parked.
        """
        taken_over = self.parked is None and state in {State.PARKED, State.UNSURE}
        return taken_over or state in ENDED


_record = ("topic", "key", "kind", "identity", "at", "body", "traceparent")
_ours = inbox.c.consumer == sa.bindparam("consumer")
_asked = (
    sa.func.unnest(sa.bindparam("identities", type_=array_of(inbox.c.identity.type)))
    .table_valued("identity")
    .render_derived()
)
_one = (
    sa.select(inbox.c.state).where(_ours, inbox.c.identity == _asked.c.identity).limit(1).lateral()
)
# PostgreSQL knows nothing of a table's rows before its first ANALYZE: asked for all at once, it
# would read everything that the consumer has ever noted. So it looks each of them up.
_states: dict[str, sa.Select[Any]] = {
    "sqlite": sa.select(inbox.c.identity, inbox.c.state).where(
        _ours, among(inbox.c.identity, "identities")
    ),
    "postgresql": sa.select(_asked.c.identity, _one.c.state).join(_one, sa.true()),
}
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
_park = sa.insert(parked)
_park_again = (
    sa.update(parked)
    .where(parked.c.id == sa.bindparam("row"))
    .values(due=sa.bindparam("until"), tries=sa.bindparam("spent"), why=sa.bindparam("reason"))
)
_unpark = sa.delete(parked).where(parked.c.id == sa.bindparam("row"))
_following = parked.alias()
_free = (
    sa.update(parked)
    .where(
        parked.c.id
        == sa.select(sa.func.min(_following.c.id))
        .where(
            _following.c.consumer == sa.bindparam("who"),
            _following.c.key == sa.bindparam("which"),
        )
        .scalar_subquery(),
        parked.c.due.is_(None),
    )
    .values(due=sa.bindparam("from_now"))
)
_bury = sa.insert(dead_letters)
_due = (
    sa.select(parked)
    .where(parked.c.consumer == sa.bindparam("consumer"), parked.c.due <= sa.bindparam("now"))
    .order_by(parked.c.due, parked.c.id)
    .limit(sa.bindparam("at_most"))
)


class Inbox:
    """
    One consumer's book in one transaction.

    What is written is collected until ``flush``, which is one ``executemany`` for each table.
    """

    def __init__(self, work: Work, consumer: str) -> None:
        self._work = work
        self._consumer = consumer
        self._known: dict[str, State] = {}
        self._notes: dict[str, State] = {}
        self._parked: list[dict[str, Any]] = []
        self._parked_again: list[dict[str, Any]] = []
        self._freed: list[Item] = []
        self._buried: list[dict[str, Any]] = []

    def load(self, identities: Collection[str]) -> None:
        connection = self._work.connection
        states = _states[connection.dialect.name]
        for page in pages(identities):
            named = {"consumer": self._consumer, "identities": page}
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

    def park(self, item: Item, *, due: datetime | None, tries: int, why: str) -> None:
        """
        Let an event wait until then, or, without ``due``, behind an earlier one of its key.
        """
        if item.parked is None:
            waits = {"due": due, "tries": tries, "why": told(why)}
            self._parked.append(_columns(item.record) | {"consumer": self._consumer} | waits)
        else:
            row = {"row": item.parked, "until": due, "spent": tries, "reason": told(why)}
            self._parked_again.append(row)

    def unpark(self, item: Item) -> None:
        """
        The event waits no more, and the next of its key comes forward.
        """
        if item.parked is not None:
            self._freed.append(item)

    def bury(self, item: Item, why: str, *, tries: int) -> None:
        died = {"tries": tries, "why": told(why), "died_at": self._work.at, "state": "open"}
        self._buried.append(_columns(item.record) | {"consumer": self._consumer} | died)

    def flush(self) -> None:
        self._flush_notes()
        self._execute(_park, self._parked)
        self._execute(_park_again, self._parked_again)
        self._execute(_unpark, [{"row": item.parked} for item in self._freed])
        who, at = self._consumer, self._work.at
        freed = [{"who": who, "which": item.record.key, "from_now": at} for item in self._freed]
        self._execute(_free, freed)
        self._execute(_bury, self._buried)

    def _flush_notes(self) -> None:
        new, old = [], []
        who, at = self._consumer, self._work.at
        for identity, state in self._notes.items():
            known = self._known.get(identity)
            if known is None:
                new.append((state.value, at, who, identity))
            elif known is not state:
                old.append((state.value, at, who, identity))
        if new:
            _note.execute(self._work.connection, new)
        if old:
            _note_again.execute(self._work.connection, old)

    def _execute(self, statement: sa.Executable, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            self._work.connection.execute(statement, rows)


def _columns(record: Record) -> dict[str, Any]:
    return {name: getattr(record, name) for name in _record}


def told(why: str) -> str:
    """
    A reason as it fits its column; PostgreSQL takes no NUL in a text.
    """
    return why.replace("\0", "")[:300]


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
