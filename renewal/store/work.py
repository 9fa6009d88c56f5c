"""One transaction: what it has read, what it will write, what it says."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from renewal.store import rows
from renewal.store.books import Books
from renewal.store.inbox import told
from renewal.store.log import tell
from renewal.store.many import adding
from renewal.store.shelf import Shelf
from schema.codec import encode, kind_of
from schema.tables.books import payments
from schema.tables.people import certificates, customers, enrolments
from schema.tables.renewals import challenges, decisions, messages, renewals

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from renewal.store.vault import Vault
    from schema.events import Event

_DECIDED = (
    "certificate", "at", "about", "what", "why",
    "threshold", "channel", "until", "message", "renewal",
)  # fmt: skip
_decided = adding(decisions, _DECIDED)
_new_id = sa.text(
    "SELECT nextval(pg_get_serial_sequence(:table, 'id')) FROM generate_series(1, :count)"
)
_alone = sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:with_what, 0))")


def _in_force(certificate: rows.Certificate) -> bool:
    """
    Whether it takes its slot, which is another's only after that.
    """
    return certificate.state in {"active", "suspended"}


class Work:
    """
    One transaction over the store. Everything in it happened at one moment, ``at``.
    """

    def __init__(
        self, connection: sa.Connection, vault: Vault, at: datetime, who: str, *, writes: bool
    ) -> None:
        self.connection = connection
        self.vault = vault
        self.at = at
        self.who = who  #: the store's name, by which it knows its own commits
        self.writes = writes
        self.told: set[str] = set()  #: the kinds of what it has said
        self._events: list[tuple[object, ...]] = []  # as log.TOLD
        self._decisions: list[tuple[object, ...]] = []  # as _DECIDED
        self._highest: dict[str, int] = {}  # of the keys given out, by table
        self._kept: dict[str, list[int]] = {}  # keys to give out, by table

    @cached_property
    def customers(self) -> Shelf[rows.Customer]:
        return Shelf(self.connection, customers, rows.Customer)

    @cached_property
    def enrolments(self) -> Shelf[rows.Enrolment]:
        return Shelf(self.connection, enrolments, rows.Enrolment)

    @cached_property
    def certificates(self) -> Shelf[rows.Certificate]:
        return Shelf(self.connection, certificates, rows.Certificate, takes=_in_force)

    @cached_property
    def renewals(self) -> Shelf[rows.Renewal]:
        return Shelf(self.connection, renewals, rows.Renewal)

    @cached_property
    def challenges(self) -> Shelf[rows.Challenge]:
        return Shelf(self.connection, challenges, rows.Challenge)

    @cached_property
    def messages(self) -> Shelf[rows.Message]:
        return Shelf(self.connection, messages, rows.Message)

    @cached_property
    def payments(self) -> Shelf[rows.Payment]:
        return Shelf(self.connection, payments, rows.Payment)

    @cached_property
    def books(self) -> Books:
        return Books(self.connection, self.at)

    def alone(self, with_what: str) -> None:
        """
        Wait for every other transaction that is alone with the same, and keep later ones waiting
        until this one has ended: what is read from here on is what they have left.
        """
        if self.connection.dialect.name == "postgresql":  # SQLite's one writer is alone anyway
            self.connection.execute(_alone, {"with_what": with_what})

    def taken(self, query: sa.Select[Any]) -> sa.Select[Any]:
        """
        The same query without the rows that another transaction is changing; nobody changes
        what it finds before this one has ended. A look takes nothing and finds them all.
        """
        # Not FOR UPDATE: a row may be referred to meanwhile.
        return query.with_for_update(key_share=True, skip_locked=True) if self.writes else query

    def emit(self, event: Event) -> None:
        """
        Say that something happened. It is said if and when this transaction is.
        """
        kind = kind_of(event)
        self.told.add(kind)
        self._events.append((event.place, event.key, kind, event.identity, self.at, encode(event)))

    def decide(
        self,
        certificate: int,
        about: str,
        what: str,
        why: str = "",
        *,
        threshold: int | None = None,
        channel: str | None = None,
        until: datetime | None = None,
        message: str | None = None,
        renewal: str | None = None,
    ) -> None:
        """
        Write down what was decided about a certificate and why, for ``xuqi why``.
        """
        self._decisions.append(
            (
                certificate, self.at, about, what, told(why, 200),
                threshold, channel, until, message, renewal,
            )
        )  # fmt: skip

    def new_ids(self, table: sa.Table, count: int) -> Sequence[int]:
        """
        Return keys, in order, for rows about to be put; nobody else gets them.
        """
        if self.connection.dialect.name == "postgresql":
            kept = self._kept.setdefault(table.name, [])
            self._ask_for_ids(table, count - len(kept))
            given, kept[:] = kept[:count], kept[count:]
            return given
        # The one writer holds the lock, so that nobody else can be counting.
        highest = self._highest.get(table.name)
        if highest is None:
            highest = self.connection.scalar(sa.select(sa.func.max(table.c.id))) or 0
        self._highest[table.name] = highest + count
        return range(highest + 1, highest + count + 1)

    def will_need_ids(self, table: sa.Table, count: int) -> None:
        """
        Ask once for what ``new_ids`` will give out one by one.
        """
        if self.connection.dialect.name == "postgresql":
            self._ask_for_ids(table, count)

    def _ask_for_ids(self, table: sa.Table, count: int) -> None:
        if count > 0:
            named = {"table": table.name, "count": count}
            found = self.connection.scalars(_new_id, named).all()
            self._kept.setdefault(table.name, []).extend(found)

    def flush(self) -> None:
        """
        Write what was collected, and tell the events: the last thing of a transaction, for others
        wait then until it has ended.
        """
        self.write()
        if self._events:
            events, self._events = self._events, []
            tell(self, events)

    def write(self) -> None:
        """
        Write the rows that were collected, one statement for each table, so that they are found.
        """
        for shelf in self._shelves_in_order():
            shelf.flush()
        if "books" in self.__dict__:
            self.books.flush()
        if self._decisions:
            decided, self._decisions = self._decisions, []
            _decided.execute(self.connection, decided)

    def _shelves_in_order(self) -> list[Shelf[Any]]:
        # What is referred to is written before what refers to it.
        order = ("customers", "enrolments", "certificates", "renewals", "challenges", "messages")
        return [self.__dict__[name] for name in (*order, "payments") if name in self.__dict__]
