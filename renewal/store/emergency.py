"""Queries about the console's emergency account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from schema.tables.staff import emergency_accounts as t
from schema.tables.staff import staff

if TYPE_CHECKING:
    from renewal.db.unit_of_work import UnitOfWork

SEALED_FOR = "emergency_accounts.totp"


@dataclass(frozen=True, kw_only=True)
class EmergencyAccount:
    """``step``: of the last code that was used; none before the app has been confirmed."""

    name: str
    totp_sealed: bytes
    totp_step: int | None

    def secret(self, look: UnitOfWork) -> bytes:
        return look.cipher.open(self.totp_sealed, SEALED_FOR, self.name)


def find(look: UnitOfWork, name: str) -> EmergencyAccount | None:
    row = look.connection.execute(sa.select(t).where(t.c.name == name)).first()
    return EmergencyAccount(**row._mapping) if row else None  # noqa: SLF001 - SQLAlchemy's name


def open_one(look: UnitOfWork) -> str | None:
    """The name of the one that has not been ended."""
    query = sa.select(t.c.name).join(staff).where(staff.c.ended_at.is_(None))
    return look.connection.scalar(query)


def add(work: UnitOfWork, name: str, secret: bytes) -> None:
    sealed = work.cipher.seal(secret, SEALED_FOR, name)
    values = {"name": name, "totp_sealed": sealed, "totp_step": None}
    work.connection.execute(sa.insert(t).values(**values))


def use_step(work: UnitOfWork, name: str, step: int) -> bool:
    """Mark the step as used; say whether it was not before, nor any after it."""
    fresh = sa.or_(t.c.totp_step.is_(None), t.c.totp_step < step)
    query = sa.update(t).where(t.c.name == name, fresh).values(totp_step=step)
    return work.connection.execute(query).rowcount == 1
