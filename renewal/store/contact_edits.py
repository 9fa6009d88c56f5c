"""Queries about new mobile numbers that wait for a second person."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from schema.tables.people import contact_edits as t

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from renewal.db.unit_of_work import UnitOfWork

SEALED_FOR = "contact_edits.mobile"


class ContactEdit(NamedTuple):
    """``seen``: names this edit, and not one that takes its place later."""

    customer: int
    mobile_sealed: bytes
    seen: str
    made_by: str
    why: str
    made_at: datetime


def put(work: UnitOfWork, customer: int, mobile: str, *, who: str, why: str) -> None:
    """Keep it; one that waits already is replaced."""
    remove(work, customer)
    edit = ContactEdit(
        customer=customer,
        mobile_sealed=work.cipher.seal(mobile, SEALED_FOR, customer),
        seen=secrets.token_hex(16),
        made_by=who,
        why=why,
        made_at=work.at,
    )
    work.connection.execute(sa.insert(t), edit._asdict())


def remove(work: UnitOfWork, customer: int) -> None:
    work.connection.execute(sa.delete(t).where(t.c.customer == customer))


def of_customer(look: UnitOfWork, customer: int) -> ContactEdit | None:
    row = look.connection.execute(sa.select(t).where(t.c.customer == customer)).first()
    return ContactEdit(*row) if row else None


def waiting(look: UnitOfWork, at_most: int) -> Sequence[ContactEdit]:
    found = look.connection.execute(sa.select(t).order_by(t.c.made_at).limit(at_most))
    return [ContactEdit(*row) for row in found]


def mobile_of(look: UnitOfWork, edit: ContactEdit) -> str:
    return look.cipher.open_text(edit.mobile_sealed, SEALED_FOR, edit.customer)
