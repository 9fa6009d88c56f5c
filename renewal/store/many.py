"""One statement for many rows, bound by the driver itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from schema.tables.types import UtcDateTime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy.sql.dml import UpdateBase

    Row = Sequence[Any]
    Types = Mapping[str, sa.types.TypeEngine[Any]]
#: A parameter in psycopg's words; "b" sends it as the database keeps it, and not as a text.
_A_BIND = re.compile(r"%\((\w+)\)s")
_NTH = "nth_given"  #: where a row stands among those that are given


@dataclass(frozen=True)
class _Compiled:
    """
    As one database wants it.
    """

    sql: str
    moments: Sequence[tuple[int, Callable[[Any], Any]]]  #: where they stand, and how they are bound
    arrange: Callable[[Sequence[Row]], Any]  #: rows into what the driver takes

    def bound(self, row: Row) -> Row:
        if not self.moments:
            return row
        row = list(row)
        for place, bind in self.moments:
            row[place] = bind(row[place])
        return row


class Many:
    """
    A statement for many rows that is compiled once for each database.

    SQLAlchemy binds each row anew, which costs more than writing it; here only moments are
    converted, and one that many rows share is converted once. SQLite takes the rows one after
    another, which costs it nothing; to PostgreSQL go the columns, an array each.
    """

    def __init__(self, types: Types, *, rows: UpdateBase, columns: UpdateBase) -> None:
        self._types = types
        self._rows = rows
        self._columns = columns
        self._compiled: dict[str, _Compiled] = {}

    def execute(self, connection: sa.Connection, rows: Iterable[Row]) -> sa.CursorResult[Any]:
        """
        Execute it for rows, of which there are some, with their values in the order of the names.
        """
        dialect = connection.dialect
        if dialect.name not in self._compiled:
            self._compiled[dialect.name] = self._compile(dialect)
        compiled = self._compiled[dialect.name]
        given = [compiled.bound(row) for row in rows]
        return connection.exec_driver_sql(compiled.sql, compiled.arrange(given))

    def _compile(self, dialect: sa.Dialect) -> _Compiled:
        names = tuple(self._types)
        moments = []
        for place, type_ in enumerate(self._types.values()):
            bind = type_.dialect_impl(dialect).bind_processor(dialect)
            if isinstance(type_, UtcDateTime) and bind is not None:
                moments.append((place, lru_cache(bind)))
        if dialect.name == "postgresql":
            sql = _A_BIND.sub(r"%(\1)b", str(self._columns.compile(dialect=dialect)))
            return _Compiled(sql, moments, lambda rows: dict(zip(names, map(list, zip(*rows)))))  # noqa: B905 - a row has its names
        compiled: Any = self._rows.compile(dialect=dialect, column_keys=names)
        arranged = itemgetter(*(names.index(name) for name in compiled.positiontup))
        return _Compiled(str(compiled), moments, lambda rows: list(map(arranged, rows)))


def adding(table: sa.Table, names: Sequence[str], *, unless: Sequence[str] = ()) -> Many:
    """
    Rows to add; ``unless``: but for those whose like in these columns is there.
    """
    types = {name: table.c[name].type for name in names}
    given = _given(types)
    rows: Any = sa.insert(table)
    # In their order, for so are sequence numbers given.
    those = sa.select(*(given.c[name] for name in names)).order_by(given.c[_NTH])
    columns: Any = postgresql.insert(table).from_select(names, those, include_defaults=False)
    if unless:
        rows = sqlite.insert(table).on_conflict_do_nothing(index_elements=unless)
        columns = columns.on_conflict_do_nothing(index_elements=unless)
    return Many(types, rows=rows, columns=columns)


def changing(table: sa.Table, names: Sequence[str], by: Sequence[str]) -> Many:
    """
    New values of the columns ``names`` for the rows with those of the columns ``by``.
    """
    new = {f"new_{name}": table.c[name] for name in names}
    old = {f"old_{name}": table.c[name] for name in by}
    types = {name: column.type for name, column in (new | old).items()}
    binds: dict[str, sa.BindParameter[Any]] = {
        name: sa.bindparam(name, type_=type_) for name, type_ in types.items()
    }
    rows = (
        sa.update(table)
        .where(*(column == binds[name] for name, column in old.items()))
        .values({column: binds[name] for name, column in new.items()})
    )
    given = _given(types)
    # Locked in the order of their keys first: two who change the same rows do not block each other.
    held = (
        sa.select(*given.c)
        .where(*(column == given.c[name] for name, column in old.items()))
        .order_by(*table.primary_key)
        .with_for_update(key_share=True, of=table)
        .cte("held")
    )
    keys = ((f"old_{column.name}", column) for column in table.primary_key)
    columns = (
        sa.update(table)
        .where(*(column == held.c[name] for name, column in keys))
        .values({column: held.c[name] for name, column in new.items()})
    )
    return Many(types, rows=rows, columns=columns)


def _given(types: Types) -> sa.TableValuedAlias:
    arrays = (sa.bindparam(name, type_=array_of(type_)) for name, type_ in types.items())
    columns = (sa.column(name, type_) for name, type_ in types.items())
    rows = sa.func.unnest(*arrays).table_valued(*columns, with_ordinality=_NTH, name="given")
    return rows.render_derived()


def array_of(type_: sa.types.TypeEngine[Any]) -> postgresql.ARRAY[Any]:
    """
    Texts of any length: a cast would cut off what the column refuses.
    """
    if isinstance(type_, sa.String):
        return postgresql.ARRAY(sa.Text())
    return postgresql.ARRAY(type_.impl if isinstance(type_, UtcDateTime) else type_)
