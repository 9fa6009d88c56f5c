"""Queries about members of staff and their log-ins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from schema.tables.staff import staff as t

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from renewal.db.unit_of_work import UnitOfWork


@dataclass(frozen=True, kw_only=True)
class StaffAccount:
    name: str
    roles: str
    password_hash: str
    must_change: bool
    made_at: datetime
    ended_at: datetime | None


def find(work: UnitOfWork, name: str) -> StaffAccount | None:
    row = work.connection.execute(sa.select(t).where(t.c.name == name)).first()
    return StaffAccount(**row._mapping) if row else None  # noqa: SLF001 - SQLAlchemy's name


def everybody(work: UnitOfWork) -> Sequence[StaffAccount]:
    rows = work.connection.execute(sa.select(t).order_by(t.c.name))
    return [StaffAccount(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's name


def add(work: UnitOfWork, member: StaffAccount) -> None:
    work.connection.execute(sa.insert(t).values(**vars(member)))


def change(work: UnitOfWork, name: str, **values: object) -> None:
    work.connection.execute(sa.update(t).where(t.c.name == name).values(**values))
