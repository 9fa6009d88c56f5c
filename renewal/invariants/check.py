"""The type of a check and its input."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from schema.tables.log import dead_letters, events, inbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from renewal.db.unit_of_work import UnitOfWork
    from schema.policy import Policy

INVARIANTS = ("I1", "I2", "I3", "I4", "I5", "I8", "I9", "I10")
#: What should have been done so long ago is not late but missed.
HOURS = timedelta(hours=6)
PAGE = 500


@dataclass(frozen=True, kw_only=True)
class Reads:
    """What a group of consumers takes from the log."""

    topics: tuple[str, ...]
    kinds: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class CheckInput:
    """What no table says."""

    now: datetime
    policies: Mapping[str, Policy]  #: by product
    groups: Mapping[str, Reads]
    log_is_here: bool  #: the events table is the log, and the offsets are its readers'


@dataclass(frozen=True, kw_only=True)
class Check:
    """
    One thing that must never be, and how to find every case of it; ``find`` yields their keys.
    """

    invariant: str
    what: str
    zh: str
    find: Callable[[UnitOfWork, CheckInput], Iterator[str]]


def asked(
    query: Callable[[CheckInput], sa.Select[Any]],
) -> Callable[[UnitOfWork, CheckInput], Iterator[str]]:
    """One pass of the database; its first column is the key."""

    def find(work: UnitOfWork, given: CheckInput) -> Iterator[str]:
        return (str(row[0]) for row in streamed(work, query(given)))

    return find


def streamed(work: UnitOfWork, query: sa.Select[Any]) -> Iterator[sa.Row[Any]]:
    """The rows of any number, a page of them in memory."""
    with work.connection.execute(query, execution_options={"yield_per": PAGE}) as rows:
        yield from rows


def under_way(group: str, identity: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Whether an event was told that its consumer has neither settled nor given up yet."""
    about_it, book = events.alias(), inbox.alias()
    ended = sa.exists().where(
        book.c.consumer == group,
        book.c.identity == about_it.c.identity,
        book.c.state.in_(("settled", "dead")),
    )
    return sa.exists().where(about_it.c.identity == identity, ~ended)


def is_dead(group: str, identity: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Whether an event lies among the dead letters, where staff see it."""
    letter = dead_letters.alias()
    return sa.exists().where(
        letter.c.consumer == group, letter.c.identity == identity, letter.c.state == "open"
    )
