"""Questions that an import asks, one query for a whole batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from renewal.store.among import among
from renewal.store.shelf import pages
from schema.tables.people import certificates, customers, enrolments
from schema.tables.renewals import OPEN, renewals

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from renewal.store.rows import Certificate, Customer
    from renewal.store.work import Work

IN_FORCE = ("active", "suspended")


def _written_out(column: sa.ColumnElement[str], values: Sequence[str]) -> sa.ColumnElement[bool]:
    # With parameters in their place, the partial index over these states would not be used.
    return column.in_(sa.bindparam(None, values, expanding=True, literal_execute=True))


class Person(NamedTuple):
    """
    A customer as a certificate is matched to it.
    """

    id: int
    reference_hash: bytes
    id_number_hash: bytes


def newest_sealed(connection: sa.Connection) -> bytes | None:
    """
    The ID number of the newest customer, as it is sealed; ``None`` if there is no customer.
    """
    newest = sa.select(customers.c.id_number_sealed).order_by(customers.c.id.desc()).limit(1)
    sealed: bytes | None = connection.scalar(newest)
    return sealed


def customers_by(
    work: Work, references: Collection[bytes], id_numbers: Collection[bytes]
) -> Sequence[Customer]:
    """
    The customers with any of these references or ID numbers, given as keyed hashes.
    """
    found: list[Customer] = []
    for page in pages(references):
        found += work.customers.read(
            sa.select(customers).where(among(customers.c.reference_hash, page))
        )
    for page in pages(id_numbers):
        found += work.customers.read(
            sa.select(customers).where(among(customers.c.id_number_hash, page))
        )
    return found


def persons_by(
    work: Work, references: Collection[bytes], id_numbers: Collection[bytes]
) -> Sequence[Person]:
    """
    As ``customers_by``, but no more of them than it takes to match.
    """
    c = customers.c
    found: set[Person] = set()
    for column, keys in ((c.reference_hash, references), (c.id_number_hash, id_numbers)):
        for page in pages(keys):
            query = sa.select(c.id, c.reference_hash, c.id_number_hash).where(among(column, page))
            found.update(Person(*row) for row in work.connection.execute(query))
    return sorted(found)


def products_of(work: Work, people: Collection[int]) -> dict[int, set[str]]:
    """
    What each of these customers is enrolled for.
    """
    found: dict[int, set[str]] = {customer: set() for customer in people}
    for page in pages(people):
        query = sa.select(enrolments.c.customer, enrolments.c.product)
        for customer, product in work.connection.execute(
            query.where(among(enrolments.c.customer, page))
        ):
            found[customer].add(product)
    return found


def with_serials(work: Work, serials: Collection[str]) -> Sequence[Certificate]:
    """
    The certificates with any of these serials, whoever issued them.
    """
    found: list[Certificate] = []
    for page in pages(serials):
        found += work.certificates.read(
            sa.select(certificates).where(among(certificates.c.serial, page))
        )
    return found


def in_force(work: Work, slots: Collection[str]) -> Sequence[Certificate]:
    """
    The certificates in force in these slots, at most one in each (I2).
    """
    found: list[Certificate] = []
    for page in pages(slots):
        found += work.certificates.read(
            sa.select(certificates).where(
                among(certificates.c.slot, page), _written_out(certificates.c.state, IN_FORCE)
            )
        )
    return found


def under_renewal(work: Work, slots: Collection[str]) -> set[str]:
    """
    In which of these slots a renewal is under way.
    """
    found: set[str] = set()
    for page in pages(slots):
        found.update(
            work.connection.scalars(
                sa.select(renewals.c.slot).where(
                    among(renewals.c.slot, page), _written_out(renewals.c.state, OPEN)
                )
            )
        )
    return found
