"""The browsers in which a customer's keys are, and what opens the sealed copy kept in each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from schema.tables.web import key_copies as t

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from renewal.db.unit_of_work import UnitOfWork

COLUMN = "key_copies.opener"


@dataclass(frozen=True, kw_only=True)
class KeyCopy:
    id: str
    customer: int
    spki_sha256: bytes
    device: str
    opener_sealed: bytes
    stored_at: datetime
    backed_up_at: datetime | None = None
    removed_at: datetime | None = None


def put(work: UnitOfWork, copy: KeyCopy) -> None:
    """Add a copy; one that is known already stays as it is, so that a request may come twice."""
    if find(work, copy.id, copy.customer) is None:
        work.connection.execute(sa.insert(t).values(vars(copy)))


def find(work: UnitOfWork, copy: str, customer: int) -> KeyCopy | None:
    query = sa.select(t).where(t.c.id == copy, t.c.customer == customer)
    row = work.connection.execute(query).first()
    return KeyCopy(**row._mapping) if row else None  # noqa: SLF001 - SQLAlchemy's name


def of_customer(work: UnitOfWork, customer: int) -> Sequence[KeyCopy]:
    """The copies that were not removed, in the order in which they were stored."""
    query = sa.select(t).where(t.c.customer == customer, t.c.removed_at.is_(None))
    found = work.connection.execute(query.order_by(t.c.stored_at, t.c.id))
    return [KeyCopy(**row._mapping) for row in found]  # noqa: SLF001 - SQLAlchemy's name


def mark_backed_up(work: UnitOfWork, copy: str) -> None:
    work.connection.execute(sa.update(t).where(t.c.id == copy).values(backed_up_at=work.at))


def mark_removed(work: UnitOfWork, copy: str) -> None:
    work.connection.execute(sa.update(t).where(t.c.id == copy).values(removed_at=work.at))
