"""Counts what may happen only so often, such as failed log-ins of an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from renewal.rules.clocks import AHEAD
from schema.tables.web import throttles as t

if TYPE_CHECKING:
    from datetime import timedelta

    from renewal.db.unit_of_work import UnitOfWork


def count_of(work: UnitOfWork, what: str, within: timedelta) -> int:
    """How often it has been counted in the current span of time."""
    running = t.c.began_at > work.at - within, t.c.began_at <= work.at + AHEAD
    query = sa.select(t.c.count).where(t.c.key == _key(work, what), *running)
    return work.connection.scalar(query) or 0


def count_one(work: UnitOfWork, what: str, within: timedelta) -> int:
    """Count one more and return the count; a span begins with the first one after the last span."""
    key = _key(work, what)
    work.serialize_on(f"throttle {key.hex()}")
    count = count_of(work, what, within) + 1
    if count == 1:
        work.connection.execute(sa.delete(t).where(t.c.key == key))
        work.connection.execute(sa.insert(t).values(key=key, began_at=work.at, count=1))
    else:
        work.connection.execute(sa.update(t).where(t.c.key == key).values(count=count))
    return count


def forget(work: UnitOfWork, what: str) -> None:
    work.connection.execute(sa.delete(t).where(t.c.key == _key(work, what)))


def _key(work: UnitOfWork, what: str) -> bytes:
    """
    What is counted may be an account or an address: personal data, so that a keyed hash is kept.
    """
    return work.cipher.hash(what, "throttles.key")
