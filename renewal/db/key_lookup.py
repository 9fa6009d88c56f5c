"""Looks rows up by many keys, in the fastest form for each database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from renewal.db.bulk import array_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from sqlalchemy.engine import Dialect
    from sqlalchemy.sql.compiler import SQLCompiler


class _JsonList(sa.types.TypeDecorator["Collection[Any]"]):
    """Numbers and texts as one JSON array."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(
        self,
        value: Collection[Any] | None,
        dialect: Dialect,  # noqa: ARG002 - SQLAlchemy's signature
    ) -> str | None:
        return None if value is None else msgspec.json.encode(value).decode()


class KeyIn(FunctionElement[bool]):
    """Whether a column holds one of the keys; made by ``key_in``."""

    type = sa.Boolean()
    inherit_cache = True

    def self_group(self, against: object = None) -> Self:  # noqa: ARG002 - SQLAlchemy's signature
        return self  # not "... = 1", as where there are no booleans: SQLite would not use an index


def key_in(column: sa.Column[Any], keys: str | Collection[Any]) -> KeyIn:
    """
    Whether the column is one of these keys. Pass a string to name a bind parameter instead of
    values.
    """
    name, values = (keys, None) if isinstance(keys, str) else (None, list(keys))

    def bound(kind: Any, *, expanding: bool = False) -> Any:  # noqa: ANN401 - a type, a parameter
        required = values is None
        return sa.bindparam(name, values, type_=kind, expanding=expanding, required=required)

    array = bound(array_of(column.type))
    if isinstance(column.type, sa.LargeBinary):  # JSON has no bytes
        return KeyIn(column, array, column.in_(bound(None, expanding=True)))
    return KeyIn(column, array, bound(_JsonList()))


def lookup_by_keys(
    columns: Iterable[sa.Column[Any]],
    key: sa.Column[Any],
    *where: sa.ColumnElement[bool],
    held: bool = False,
) -> Mapping[str, sa.Select[Any]]:
    """
    A query, by database, for the rows with any of ``keys``, where each key has at most one row;
    ``held`` locks them until the transaction ends, where the database has row locks.

    PostgreSQL would rather scan a small or unanalyzed table than probe its index 500 times, at ten
    times the cost; so it is made to probe.
    """
    asked = (
        sa.func.unnest(sa.bindparam("keys", type_=array_of(key.type)))
        .table_valued("key")
        .render_derived()
    )
    found = sa.select(*columns).where(key == asked.c.key, *where).limit(1)
    one = (found.with_for_update(key_share=True) if held else found).lateral()
    return {
        "sqlite": sa.select(*columns).where(key_in(key, "keys"), *where),
        "postgresql": sa.select(*one.c).select_from(asked.join(one, sa.true())),
    }


# As text, not of a select and of ANY: those are made anew for each query, at a tenth of its cost.
# One parameter for each key would be read, planned and bound anew each time; a list is one.


@compiles(KeyIn)
def _each(element: KeyIn, compiler: SQLCompiler, **how: Any) -> str:  # noqa: ANN401 - SQLAlchemy's own
    column, _, keys = element.clauses
    if not isinstance(keys, sa.BindParameter):
        return compiler.process(keys, **how)
    listed = compiler.process(keys, **how)
    one = compiler.process(column, **how)
    return f"{one} IN (SELECT value FROM json_each({listed}))"  # noqa: S608 - compiled # nosec B608


@compiles(KeyIn, "postgresql")
def _one(element: KeyIn, compiler: SQLCompiler, **how: Any) -> str:  # noqa: ANN401 - SQLAlchemy's own
    column, array, _ = element.clauses
    return f"{compiler.process(column, **how)} = ANY ({compiler.process(array, **how)})"
