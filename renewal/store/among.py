"""Asks for the rows with any of many keys, as each database does so fastest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from renewal.store.many import array_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from sqlalchemy.engine import Dialect
    from sqlalchemy.sql.compiler import SQLCompiler


class _Listed(sa.types.TypeDecorator["Collection[Any]"]):
    """
    Numbers and texts as one JSON text.
    """

    impl = sa.Text
    cache_ok = True

    def process_bind_param(
        self,
        value: Collection[Any] | None,
        dialect: Dialect,  # noqa: ARG002 - SQLAlchemy's signature
    ) -> str | None:
        return None if value is None else msgspec.json.encode(value).decode()


class Among(FunctionElement[bool]):
    """
    Whether a column holds one of the keys; made by ``among``.
    """

    type = sa.Boolean()
    inherit_cache = True

    def self_group(self, against: object = None) -> Self:  # noqa: ARG002 - SQLAlchemy's signature
        return self  # not "... = 1", as where there are no booleans: SQLite would not use an index


def among(column: sa.Column[Any], keys: str | Collection[Any]) -> Among:
    """
    Whether the column holds one of these keys; or, by its name, of those that come later.
    """
    name, values = (keys, None) if isinstance(keys, str) else (None, list(keys))
    kind = array_of(column.type)
    # One parameter for each key is read, planned and bound anew each time; an array is one.
    one = column == sa.any_(sa.bindparam(name, values, type_=kind, required=values is None))
    return Among(one, column.in_(_each_of(column, name, values)))


def _each_of(column: sa.Column[Any], name: str | None, values: list[Any] | None) -> Any:  # noqa: ANN401 - what "in" takes
    if isinstance(column.type, sa.LargeBinary):  # JSON has no bytes
        return sa.bindparam(name, values, expanding=True, required=values is None)
    listed = sa.bindparam(name, values, type_=_Listed(), required=values is None)
    return sa.select(sa.func.json_each(listed).table_valued("value").c.value)


def one_by_one(
    columns: Iterable[sa.Column[Any]],
    key: sa.Column[Any],
    *where: sa.ColumnElement[bool],
    held: bool = False,
) -> Mapping[str, sa.Select[Any]]:
    """
    A question, by database, for the rows with any of ``keys``, where each key has one at most;
    ``held``: until the transaction ends, where the database has row locks.

    PostgreSQL would rather read all of a small or an unknown table than ask its index 500 times,
    at ten times the price; so it is made to look each of them up.
    """
    asked = (
        sa.func.unnest(sa.bindparam("keys", type_=array_of(key.type)))
        .table_valued("key")
        .render_derived()
    )
    found = sa.select(*columns).where(key == asked.c.key, *where).limit(1)
    one = (found.with_for_update(key_share=True) if held else found).lateral()
    return {
        "sqlite": sa.select(*columns).where(among(key, "keys"), *where),
        "postgresql": sa.select(*one.c).select_from(asked.join(one, sa.true())),
    }


@compiles(Among)
def _each(element: Among, compiler: SQLCompiler, **how: Any) -> str:  # noqa: ANN401 - SQLAlchemy's own
    return compiler.process(list(element.clauses)[1], **how)


@compiles(Among, "postgresql")
def _one(element: Among, compiler: SQLCompiler, **how: Any) -> str:  # noqa: ANN401 - SQLAlchemy's own
    return compiler.process(next(iter(element.clauses)), **how)
