"""One transaction: what it has read, what it will write, what it says."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import sqlalchemy as sa

from renewal.store import rows
from renewal.store.books import Books
from renewal.store.shelf import Shelf
from schema.codec import encode, kind_of
from schema.tables.books import payments
from schema.tables.log import events
from schema.tables.people import certificates, customers, enrolments
from schema.tables.renewals import challenges, decisions, messages, renewals

if TYPE_CHECKING:
    from datetime import datetime

    from renewal.store.vault import Vault
    from schema.events import Event

_tell = {
    "sqlite": sa.insert(events).prefix_with("OR IGNORE", dialect="sqlite"),
    "postgresql": sa.dialects.postgresql.insert(events).on_conflict_do_nothing(
        index_elements=["identity"]
    ),
}


class Work:
    """
    One transaction over the store. Everything in it happened at one moment, ``at``.
    """

    def __init__(self, connection: sa.Connection, vault: Vault, at: datetime) -> None:
        self.connection = connection
        self.vault = vault
        self.at = at
        self._events: list[dict[str, object]] = []
        self._decisions: list[dict[str, object]] = []

    @cached_property
    def customers(self) -> Shelf[rows.Customer]:
        return Shelf(self.connection, customers, rows.Customer)

    @cached_property
    def enrolments(self) -> Shelf[rows.Enrolment]:
        return Shelf(self.connection, enrolments, rows.Enrolment)

    @cached_property
    def certificates(self) -> Shelf[rows.Certificate]:
        return Shelf(self.connection, certificates, rows.Certificate)

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

    def emit(self, event: Event) -> None:
        """
        Say that something happened. It is said if and when this transaction is.
        """
        self._events.append(
            {
                "topic": event.place,
                "key": event.key,
                "kind": kind_of(event),
                "identity": event.identity,
                "at": self.at,
                "body": encode(event),
            }
        )

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
            {
                "certificate": certificate,
                "at": self.at,
                "about": about,
                "what": what,
                "why": why[:200],
                "threshold": threshold,
                "channel": channel,
                "until": until,
                "message": message,
                "renewal": renewal,
            }
        )

    def new_ids(self, table: sa.Table, count: int) -> range:
        """
        Return keys for rows about to be put, which no other transaction gets.
        """
        if self.connection.dialect.name == "sqlite":  # the one writer holds the lock
            first = (self.connection.scalar(sa.select(sa.func.max(table.c.id))) or 0) + 1
            shelf = {"certificates": self.certificates, "customers": self.customers}.get(table.name)
            first = max(first, shelf.highest_put() + 1) if shelf is not None else first
            return range(first, first + count)
        taken = self.connection.scalars(
            sa.text(
                "SELECT setval(pg_get_serial_sequence(:table, 'id'), "
                "nextval(pg_get_serial_sequence(:table, 'id')) + :more)"
            ),
            {"table": table.name, "more": count - 1},
        ).one()
        return range(taken - count + 1, taken + 1)

    def flush(self) -> None:
        """
        Write what was collected: one ``executemany`` for each table.
        """
        for shelf in self._shelves_in_order():
            shelf.flush()
        if "books" in self.__dict__:
            self.books.flush()
        if self._events:
            told, self._events = self._events, []
            self.connection.execute(_tell[self.connection.dialect.name], told)
        if self._decisions:
            decided, self._decisions = self._decisions, []
            self.connection.execute(sa.insert(decisions), decided)

    def _shelves_in_order(self) -> list[Shelf[rows.Row]]:
        # What is referred to is written before what refers to it.
        order = ("customers", "enrolments", "certificates", "renewals", "challenges", "messages")
        return [self.__dict__[name] for name in (*order, "payments") if name in self.__dict__]
