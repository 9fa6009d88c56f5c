"""Queries about the life of tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from schema.tables.tokens import token_holds as h
from schema.tables.tokens import tokens as t

if TYPE_CHECKING:
    from collections.abc import Sequence

    from renewal.db.rows import Token
    from renewal.db.unit_of_work import UnitOfWork
    from schema.states import TokenState


def listed(
    look: UnitOfWork, *, state: TokenState | None, after: str = "", at_most: int = 100
) -> Sequence[Token]:
    """Those on record, by serial; one that came with its certificate may not be there."""
    query = sa.select(t).where(t.c.serial > after).order_by(t.c.serial).limit(at_most)
    if state is not None:
        query = query.where(t.c.state == state.value)
    return look.tokens.read(query)


def note_held(work: UnitOfWork, token: str, certificate: int, number: int) -> None:
    row = {"token": token, "certificate": certificate, "number": number}
    work.connection.execute(sa.insert(h), row)


def taken_from_hold(work: UnitOfWork, token: str) -> dict[int, int]:
    """The certificates of a hold with the number of the change each; they are forgotten."""
    mine = h.c.token == token
    rows = work.connection.execute(sa.select(h.c.certificate, h.c.number).where(mine)).all()
    work.connection.execute(sa.delete(h).where(mine))
    return {row.certificate: row.number for row in rows}
