"""Queries about the filters that members of staff have saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from schema.tables.staff import saved_views as t

if TYPE_CHECKING:
    from collections.abc import Sequence

    from renewal.db.unit_of_work import UnitOfWork


class SavedView(NamedTuple):
    name: str
    query: str


def of_page(look: UnitOfWork, owner: str, page: str) -> Sequence[SavedView]:
    query = sa.select(t.c.name, t.c.query).where(t.c.owner == owner, t.c.page == page)
    return [SavedView(*row) for row in look.connection.execute(query.order_by(t.c.name))]


def put(work: UnitOfWork, owner: str, page: str, view: SavedView) -> None:
    """Keep it; one of the same name is replaced."""
    remove(work, owner, page, view.name)
    row = {"owner": owner, "page": page, "name": view.name, "query": view.query}
    work.connection.execute(sa.insert(t), row)


def remove(work: UnitOfWork, owner: str, page: str, name: str) -> None:
    mine = sa.and_(t.c.owner == owner, t.c.page == page, t.c.name == name)
    work.connection.execute(sa.delete(t).where(mine))
