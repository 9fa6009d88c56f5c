"""Customers' user codes, with the roles that they act in and the hashes of their passwords."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from schema.tables.people import customers, enrolments
from schema.tables.web import credentials as t

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from renewal.db.unit_of_work import UnitOfWork


@dataclass(frozen=True, kw_only=True)
class Credential:
    customer: int
    user_code: str
    password_hash: str | None
    customer_class: int
    operator: str
    changed_at: datetime
    release_hash: str | None = None


def customer_with(work: UnitOfWork, id_number: str) -> int | None:
    """Which customer has this ID number or company number."""
    by = work.cipher.hash(id_number, "customers.id_number")
    return work.connection.scalar(sa.select(customers.c.id).where(customers.c.id_number_hash == by))


def find(work: UnitOfWork, customer: int, user_code: str) -> Credential | None:
    query = sa.select(t).where(t.c.customer == customer, t.c.user_code == user_code)
    row = work.connection.execute(query).first()
    return Credential(**row._mapping) if row else None  # noqa: SLF001 - SQLAlchemy's name


def of_customer(work: UnitOfWork, customer: int) -> Sequence[Credential]:
    query = sa.select(t).where(t.c.customer == customer).order_by(t.c.user_code)
    return [Credential(**row._mapping) for row in work.connection.execute(query)]  # noqa: SLF001 - its name


def put(work: UnitOfWork, credential: Credential) -> None:
    """Add a user code, or change its role; its passwords stay unless new ones are given."""
    known = find(work, credential.customer, credential.user_code)
    values = dict(vars(credential))
    if known is None:
        work.connection.execute(sa.insert(t).values(values))
        return
    if credential.password_hash is None:
        values["password_hash"] = known.password_hash
    if credential.release_hash is None:
        values["release_hash"] = known.release_hash
    work.connection.execute(
        sa.update(t)
        .where(t.c.customer == credential.customer, t.c.user_code == credential.user_code)
        .values(values)
    )


def first_role(work: UnitOfWork, customer: int) -> tuple[int, str] | None:
    """Class and role of the customer's enrolments, of the first product by its name."""
    query = (
        sa.select(enrolments.c.customer_class, enrolments.c.operator)
        .where(enrolments.c.customer == customer)
        .order_by(enrolments.c.product)
    )
    row = work.connection.execute(query).first()
    return (row.customer_class, row.operator) if row else None
