"""Queries about customers and their addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from renewal.rules.serials import token_serial as spelt
from schema.tables.people import certificates, customers, enrolments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from renewal.db.rows import Customer, Enrolment
    from renewal.db.unit_of_work import UnitOfWork

#: Customers share a telephone or a name; more than so many are no answer to a question.
AT_MOST = 50


def with_resting_address(look: UnitOfWork, *, after: int, at_most: int) -> Sequence[Customer]:
    c = customers.c
    query = sa.select(customers).where(
        c.id > after,
        sa.or_(*(column.is_not(None) for column in (c.mobile_bad, c.mail_bad, c.codes_bad))),
    )
    return look.customers.read(query.order_by(c.id).limit(at_most))


def by_hashes(look: UnitOfWork, **hashes: bytes) -> Sequence[Customer]:
    """Those of whom any of these hashes is: ``reference_hash``, ``id_number_hash`` and so on."""
    if not hashes:
        return []
    same = [customers.c[name] == value for name, value in hashes.items()]
    query = sa.select(customers).where(sa.or_(*same)).order_by(customers.c.id)
    return look.customers.read(query.limit(AT_MOST))


def with_token(look: UnitOfWork, token_serial: str) -> Sequence[Customer]:
    """Those who have a certificate on this token or card, however its serial is typed."""
    owners = sa.select(certificates.c.customer).where(
        sa.func.lower(certificates.c.token_serial) == spelt(token_serial).lower()
    )
    query = sa.select(customers).where(customers.c.id.in_(owners)).order_by(customers.c.id)
    return look.customers.read(query.limit(AT_MOST))


def enrolments_of(look: UnitOfWork, customer: int) -> Sequence[Enrolment]:
    """The products that the customer has an account for."""
    query = sa.select(enrolments).where(enrolments.c.customer == customer)
    return look.enrolments.read(query.order_by(enrolments.c.product))


def in_order(look: UnitOfWork, after: int, at_most: int) -> Sequence[Customer]:
    query = sa.select(customers).where(customers.c.id > after).order_by(customers.c.id)
    return look.customers.read(query.limit(at_most))
