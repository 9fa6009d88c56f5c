"""Queries of an import, one for a whole batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from renewal.db.identity_map import pages
from renewal.db.key_lookup import key_in
from schema.tables.people import certificates, customers, enrolments
from schema.tables.renewals import OPEN, renewals

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from renewal.db.rows import Certificate, Customer
    from renewal.db.unit_of_work import UnitOfWork

IN_FORCE = ("active", "suspended")


def _written_out(column: sa.ColumnElement[str], values: Sequence[str]) -> sa.ColumnElement[bool]:
    # With parameters in their place, the partial index over these states would not be used.
    return column.in_(sa.bindparam(None, values, expanding=True, literal_execute=True))


class CustomerKeys(NamedTuple):
    """A customer as a certificate is matched to it."""

    id: int
    reference_hash: bytes
    id_number_hash: bytes


class SealedIdNumber(NamedTuple):
    """An ID number as it is sealed, and the row that it is bound to."""

    row: int
    value: bytes


def newest_sealed(connection: sa.Connection) -> SealedIdNumber | None:
    """The ID number of the newest customer; ``None`` if there is no customer."""
    c = customers.c
    newest = sa.select(c.id, c.id_number_sealed).order_by(c.id.desc()).limit(1)
    found = connection.execute(newest).first()
    return SealedIdNumber(*found) if found else None


def customers_by(
    work: UnitOfWork, references: Collection[bytes], id_numbers: Collection[bytes]
) -> Sequence[Customer]:
    """The customers with any of these references or ID numbers, given as keyed hashes."""
    found: list[Customer] = []
    for page in pages(references):
        found += work.customers.read(
            sa.select(customers).where(key_in(customers.c.reference_hash, page))
        )
    for page in pages(id_numbers):
        found += work.customers.read(
            sa.select(customers).where(key_in(customers.c.id_number_hash, page))
        )
    return found


def having(work: UnitOfWork, name: str, hashes: Collection[bytes]) -> dict[bytes, int]:
    """How many customers have each of these addresses (``mobile`` or ``mail``), by its hash."""
    column = customers.c[f"{name}_hash"]
    found: dict[bytes, int] = {}
    for page in pages(hashes):
        query = sa.select(column, sa.func.count()).where(key_in(column, page)).group_by(column)
        found.update((row[0], row[1]) for row in work.connection.execute(query))
    return found


def persons_by(
    work: UnitOfWork, references: Collection[bytes], id_numbers: Collection[bytes]
) -> Sequence[CustomerKeys]:
    """As ``customers_by``, but no more of them than it takes to match."""
    c = customers.c
    found: set[CustomerKeys] = set()
    for column, keys in ((c.reference_hash, references), (c.id_number_hash, id_numbers)):
        for page in pages(keys):
            query = sa.select(c.id, c.reference_hash, c.id_number_hash).where(key_in(column, page))
            found.update(CustomerKeys(*row) for row in work.connection.execute(query))
    return sorted(found)


def products_of(work: UnitOfWork, people: Collection[int]) -> dict[int, set[str]]:
    """What each of these customers is enrolled for."""
    found: dict[int, set[str]] = {customer: set() for customer in people}
    for page in pages(people):
        query = sa.select(enrolments.c.customer, enrolments.c.product)
        for customer, product in work.connection.execute(
            query.where(key_in(enrolments.c.customer, page))
        ):
            found[customer].add(product)
    return found


def with_serials(work: UnitOfWork, serials: Collection[str]) -> Sequence[Certificate]:
    """The certificates with any of these serials, whoever issued them."""
    found: list[Certificate] = []
    for page in pages(serials):
        found += work.certificates.read(
            sa.select(certificates).where(key_in(certificates.c.serial, page))
        )
    return found


def in_force(work: UnitOfWork, slots: Collection[str]) -> Sequence[Certificate]:
    """The certificates in force in these slots, at most one in each (I2)."""
    found: list[Certificate] = []
    for page in pages(slots):
        found += work.certificates.read(
            sa.select(certificates).where(
                key_in(certificates.c.slot, page), _written_out(certificates.c.state, IN_FORCE)
            )
        )
    return found


def under_renewal(work: UnitOfWork, slots: Collection[str]) -> set[str]:
    """In which of these slots a renewal is under way."""
    found: set[str] = set()
    for page in pages(slots):
        found.update(
            work.connection.scalars(
                sa.select(renewals.c.slot).where(
                    key_in(renewals.c.slot, page), _written_out(renewals.c.state, OPEN)
                )
            )
        )
    return found
