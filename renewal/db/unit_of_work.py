"""The unit of work: rows read, changes, decisions and events of one transaction."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import sqlalchemy as sa

from renewal.clock import Uptime
from renewal.db import rows
from renewal.db.bulk import bulk_insert
from renewal.db.identity_map import IdentityMap
from renewal.db.outbox import append_events
from schema.codec import encode, kind_of
from schema.reasons import DecisionKind, Reason, ReasonCode
from schema.tables import metadata
from schema.tables.people import certificates
from schema.tables.renewals import decisions, renewals

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from renewal.db.encryption import FieldCipher
    from schema.events import Event

MAX_WHY = 200  #: as the column is wide
_DECIDED = (
    "certificate", "at", "about", "what", "why",
    "threshold", "channel", "until", "message", "renewal",
)  # fmt: skip
_decided = bulk_insert(decisions, _DECIDED)
_new_id = sa.text(
    "SELECT nextval(pg_get_serial_sequence(:table, 'id')) FROM generate_series(1, :count)"
)
_alone = sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:with_what, 0))")


#: What is referred to is written before what refers to it.
_ORDER = {table.name: nth for nth, table in enumerate(metadata.sorted_tables)}


def _write_order(kind: type[rows.Row]) -> int:
    return _ORDER[kind.table.name]


class Part(Protocol):
    """
    What a higher layer keeps in a transaction, to be written at its end; the ledger, for example.
    """

    def __init__(self, connection: sa.Connection, at: datetime) -> None: ...

    def flush(self) -> None: ...


P = TypeVar("P", bound=Part)
R = TypeVar("R", bound=rows.Row)


UNKNOWN = Uptime(boot="", ran=timedelta(0))


class UnitOfWork:
    """One transaction over the store. Everything in it happens at one moment, ``at``."""

    def __init__(
        self,
        connection: sa.Connection,
        cipher: FieldCipher,
        at: datetime,
        who: str,
        *,
        writes: bool,
        uptime: Uptime = UNKNOWN,
    ) -> None:
        self.connection = connection
        self.cipher = cipher
        self.at = at
        self.uptime = uptime  #: at that moment
        self.who = who  #: the store's name, by which it knows its own commits
        self.writes = writes
        self.emitted_kinds: set[str] = set()  #: the kinds of what it has said
        self.audited: tuple[int, bytes] | None = None  #: the newest line of the trail it has added
        self._events: list[tuple[object, ...]] = []  # as log.TOLD
        self._decisions: list[tuple[object, ...]] = []  # as _DECIDED
        self._highest: dict[str, int] = {}  # of the keys given out, by table
        self._kept: dict[str, list[int]] = {}  # keys to give out, by table
        self._maps: dict[type[rows.Row], IdentityMap[Any]] = {}
        self._parts: dict[type[Part], Part] = {}

    def rows_of(self, kind: type[R]) -> IdentityMap[R]:
        """The rows of that kind, in the table that it names."""
        if kind not in self._maps:
            self._maps[kind] = IdentityMap(self.connection, kind)
        return self._maps[kind]

    def part(self, kind: type[P]) -> P:
        """That part of this transaction, made when it is first asked for."""
        if kind not in self._parts:
            self._parts[kind] = kind(self.connection, self.at)
        found: Any = self._parts[kind]
        return cast("P", found)

    @cached_property
    def customers(self) -> IdentityMap[rows.Customer]:
        return self.rows_of(rows.Customer)

    @cached_property
    def enrolments(self) -> IdentityMap[rows.Enrolment]:
        return self.rows_of(rows.Enrolment)

    @cached_property
    def certificates(self) -> IdentityMap[rows.Certificate]:
        return self.rows_of(rows.Certificate)

    @cached_property
    def renewals(self) -> IdentityMap[rows.Renewal]:
        return self.rows_of(rows.Renewal)

    @cached_property
    def challenges(self) -> IdentityMap[rows.Challenge]:
        return self.rows_of(rows.Challenge)

    @cached_property
    def messages(self) -> IdentityMap[rows.Message]:
        return self.rows_of(rows.Message)

    @cached_property
    def payments(self) -> IdentityMap[rows.Payment]:
        return self.rows_of(rows.Payment)

    @cached_property
    def runs(self) -> IdentityMap[rows.Run]:
        return self.rows_of(rows.Run)

    @cached_property
    def run_items(self) -> IdentityMap[rows.RunItem]:
        return self.rows_of(rows.RunItem)

    @cached_property
    def tasks(self) -> IdentityMap[rows.Task]:
        return self.rows_of(rows.Task)

    @cached_property
    def tokens(self) -> IdentityMap[rows.Token]:
        return self.rows_of(rows.Token)

    @cached_property
    def recordings(self) -> IdentityMap[rows.Recording]:
        return self.rows_of(rows.Recording)

    def serialize_on(self, with_what: str) -> None:
        """
        Wait for every other transaction that serializes on this name, and block later ones until
        this one has ended, so that what is read from here on is final.
        """
        if self.connection.dialect.name == "postgresql":  # SQLite's one writer is alone anyway
            self.connection.execute(_alone, {"with_what": with_what})

    def skip_locked(self, query: sa.Select[Any]) -> sa.Select[Any]:
        """
        The query without rows that another transaction is changing; the rows found stay locked
        until this transaction ends. A snapshot locks and skips nothing.
        """
        # Not FOR UPDATE: a row may be referred to meanwhile.
        return query.with_for_update(key_share=True, skip_locked=True) if self.writes else query

    def emit(self, event: Event) -> None:
        """Emit an event; it is on the log if and when this transaction commits."""
        kind = kind_of(event)
        self.emitted_kinds.add(kind)
        self._events.append(
            (event.topic_name, event.key, kind, event.identity, self.at, encode(event))
        )

    def record_decision(
        self,
        certificate: int,
        kind: DecisionKind,
        why: Reason | ReasonCode | None = None,
        *,
        threshold: int | None = None,
        channel: str | None = None,
        until: datetime | None = None,
        message: str | None = None,
        renewal: str | None = None,
    ) -> None:
        """Record what was decided about a certificate and why, for ``xuqi why``."""
        reason = why.why() if isinstance(why, ReasonCode) else why
        stored = "" if reason is None else reason.stored(MAX_WHY)
        self._decisions.append(
            (
                certificate, self.at, kind.about, kind.what, stored,
                threshold, channel, until, message, renewal,
            )
        )  # fmt: skip

    def new_ids(self, table: sa.Table, count: int) -> Sequence[int]:
        """Return keys, in order, for rows about to be added; nobody else gets them."""
        if self.connection.dialect.name == "postgresql":
            kept = self._kept.setdefault(table.name, [])
            self._ask_for_ids(table, count - len(kept))
            given, kept[:] = kept[:count], kept[count:]
            return given
        # The one writer holds the lock, so that nobody else can be counting.
        highest = self._highest.get(table.name)
        if highest is None:
            highest = self._highest_of(table)
        self._highest[table.name] = highest + count
        return range(highest + 1, highest + count + 1)

    def _highest_of(self, table: sa.Table) -> int:
        given = [sa.select(sa.func.max(table.c.id))]
        if table is certificates:  # an application names its certificate before there is a row
            given.append(sa.select(sa.func.max(renewals.c.certificate)))
        return max(self.connection.scalar(query) or 0 for query in given)

    def will_need_ids(self, table: sa.Table, count: int) -> None:
        """Fetch in one query what ``new_ids`` will return one by one."""
        if self.connection.dialect.name == "postgresql":
            self._ask_for_ids(table, count)

    def _ask_for_ids(self, table: sa.Table, count: int) -> None:
        if count > 0:
            named = {"table": table.name, "count": count}
            found = self.connection.scalars(_new_id, named).all()
            self._kept.setdefault(table.name, []).extend(found)

    def flush(self) -> None:
        """
        Write everything collected, then append the events: last in a transaction, because other
        writers wait from then until it has ended.
        """
        self.write()
        if self._events:
            events, self._events = self._events, []
            append_events(self.connection, self.who, self.emitted_kinds, events)

    def write(self) -> None:
        """Write the collected rows, one statement for each table, so that queries find them."""
        for kind in sorted(self._maps, key=_write_order):
            self._maps[kind].flush()
        for part in self._parts.values():
            part.flush()
        if self._decisions:
            decided, self._decisions = self._decisions, []
            _decided.execute(self.connection, decided)
