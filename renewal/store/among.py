"""Asks for the rows with any of many keys, as each database does so fastest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from renewal.store.many import array_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy.sql.compiler import SQLCompiler


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
    each = column.in_(sa.bindparam(name, values, expanding=True, required=values is None))
    return Among(one, each)


@compiles(Among)
def _each(element: Among, compiler: SQLCompiler, **how: Any) -> str:  # noqa: ANN401 - SQLAlchemy's own
    return compiler.process(list(element.clauses)[1], **how)


@compiles(Among, "postgresql")
def _one(element: Among, compiler: SQLCompiler, **how: Any) -> str:  # noqa: ANN401 - SQLAlchemy's own
    return compiler.process(next(iter(element.clauses)), **how)
