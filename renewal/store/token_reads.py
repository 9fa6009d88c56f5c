"""Queries that hold the certificate in force on each token against what was last read of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from schema.tables.people import certificates
from schema.tables.renewals import decisions, renewals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from renewal.db.unit_of_work import UnitOfWork

c = certificates.c
d = decisions.c
r = renewals.c
_READ_BACK = (d.about == "token", d.what == "written, read back")
_IN_FORCE = c.state.in_(("active", "suspended"))


def never_read(look: UnitOfWork, *, after: int, at_most: int) -> Sequence[int]:
    """Certificates in force on a token, of our own renewals, that were not read back from it."""
    read = sa.exists().where(d.renewal == c.renewal, *_READ_BACK)
    query = sa.select(c.id).where(
        _IN_FORCE, c.token_serial.is_not(None), c.renewal.is_not(None), ~read, c.id > after
    )
    return look.connection.scalars(query.order_by(c.id).limit(at_most)).all()


def read_otherwise(look: UnitOfWork, *, after: int, at_most: int) -> Sequence[int]:
    """
    Certificates in force whose token held another one when it was last read.

    One that is still on its way into force is not another one.
    """
    new, last_new = certificates.alias("new"), certificates.alias("last_new")
    last = (
        sa.select(new.c.token_serial, sa.func.max(d.id).label("decision"))
        .select_from(decisions)
        .join(renewals, r.id == d.renewal)
        .join(new, new.c.id == r.new_certificate)
        .where(*_READ_BACK)
        .group_by(new.c.token_serial)
        .subquery()
    )
    query = (
        sa.select(c.id)
        .join(last, last.c.token_serial == c.token_serial)
        .join(decisions, d.id == last.c.decision)
        .join(renewals, r.id == d.renewal)
        .join(last_new, last_new.c.id == r.new_certificate)
        .where(_IN_FORCE, last_new.c.id != c.id, last_new.c.state != "pending", c.id > after)
    )
    return look.connection.scalars(query.order_by(c.id).limit(at_most)).all()
