"""Asks for the rows with any of many keys, as each database does so fastest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from renewal.store.many import array_of

if TYPE_CHECKING:
    from collections.abc import Collection

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


@compiles(Among)
def _each(element: Among, compiler: SQLCompiler, **how: Any) -> str:  # noqa: ANN401 - SQLAlchemy's own
    return compiler.process(list(element.clauses)[1], **how)


@compiles(Among, "postgresql")
def _one(element: Among, compiler: SQLCompiler, **how: Any) -> str:  # noqa: ANN401 - SQLAlchemy's own
    return compiler.process(next(iter(element.clauses)), **how)
