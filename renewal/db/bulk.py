"""Bulk statements: one statement for many rows, bound by the driver itself."""

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
    Binds = Mapping[str, Callable[[Any], Any]]
#: A parameter in psycopg's words; "b" sends it as the database keeps it, and not as a text.
_BIND_PATTERN = re.compile(r"%\((\w+)\)s")
_ORDINALITY = "nth_given"  #: where a row stands among those that are given
#: From so many rows on, a value that they share is sent once.
MIN_ROWS_TO_SHARE = 16


@dataclass(frozen=True)
class InputRows:
    """The input rows of a statement on PostgreSQL, usable like a table."""

    c: Mapping[str, sa.ColumnElement[Any]]
    nth: sa.ColumnElement[int]


class BulkStatement:
    """
    A statement for many rows, compiled once for each database.

    SQLAlchemy binds each row anew, which costs more than writing it. Here only moments are
    converted, and a moment that many rows share is converted once. SQLite takes the rows one by one
    at no extra cost; PostgreSQL gets one array per column, or a single value where all rows share
    it.
    """

    def __init__(
        self, types: Types, *, rows: UpdateBase, columns: Callable[[InputRows], UpdateBase]
    ) -> None:
        self._types = types
        self._rows = rows
        self._columns = columns
        self._binds: dict[str, Binds] = {}  # of moments, by dialect
        self._by_row: tuple[str, Callable[[Row], Row]] | None = None
        self._by_column: dict[frozenset[str], str] = {}  # by the names of what is shared

    def execute(self, connection: sa.Connection, rows: Iterable[Row]) -> sa.CursorResult[Any]:
        """
        Execute the statement for at least one row; values are in the order of the column names.
        """
        dialect = connection.dialect
        if dialect.name not in self._binds:
            self._binds[dialect.name] = self._moments(dialect)
        binds = self._binds[dialect.name]
        if dialect.name == "postgresql":
            values = map(list, zip(*rows, strict=True))
            columns = dict(zip(self._types, values, strict=True))
            return self._execute_columns(connection, columns, binds)
        sql, arrange = self._by_row = self._by_row or self._compiled(dialect)
        places = [(number, binds[name]) for number, name in enumerate(self._types) if name in binds]
        return connection.exec_driver_sql(
            sql, [arrange(_with_bound_moments(row, places)) for row in rows]
        )

    def _moments(self, dialect: sa.Dialect) -> Binds:
        found = {}
        for name, type_ in self._types.items():
            bind = type_.dialect_impl(dialect).bind_processor(dialect)
            if isinstance(type_, UtcDateTime) and bind is not None:
                found[name] = lru_cache(bind)
        return found

    def _compiled(self, dialect: sa.Dialect) -> tuple[str, Callable[[Row], Row]]:
        names = tuple(self._types)
        compiled: Any = self._rows.compile(dialect=dialect, column_keys=names)
        return str(compiled), itemgetter(*(names.index(name) for name in compiled.positiontup))

    def _execute_columns(
        self, connection: sa.Connection, columns: dict[str, list[Any]], binds: Binds
    ) -> sa.CursorResult[Any]:
        for name, bind in binds.items():
            columns[name] = list(map(bind, columns[name]))
        shared = _shared_values(columns)
        if (names := frozenset(shared)) not in self._by_column:
            statement = self._columns(_input_rows(self._types, shared))
            sql = str(statement.compile(dialect=connection.dialect))
            self._by_column[names] = _BIND_PATTERN.sub(r"%(\1)b", sql)
        return connection.exec_driver_sql(self._by_column[names], columns | shared)


def _with_bound_moments(row: Row, moments: Sequence[tuple[int, Callable[[Any], Any]]]) -> Row:
    if not moments:
        return row
    row = list(row)
    for number, bind in moments:
        row[number] = bind(row[number])
    return row


def _shared_values(columns: Mapping[str, list[Any]]) -> dict[str, Any]:
    """
    The values that all rows share, by column. At least one array is kept, because it carries the
    number of rows.
    """
    *others, last = columns
    if len(columns[last]) < MIN_ROWS_TO_SHARE:
        return {}
    return {
        name: values[0]
        for name in others
        if (values := columns[name]).count(values[0]) == len(values)
    }


def bulk_insert(
    table: sa.Table, names: Sequence[str], *, unless: Sequence[str] = ()
) -> BulkStatement:
    """
    Insert rows; with ``unless``, skip rows that conflict with an existing one in these columns.
    """
    rows: Any = sa.insert(table)
    if unless:
        rows = sqlite.insert(table).on_conflict_do_nothing(index_elements=unless)

    def columns(given: InputRows) -> UpdateBase:
        # In their order, for so are sequence numbers given.
        those = sa.select(*(given.c[name] for name in names)).order_by(given.nth)
        found = postgresql.insert(table).from_select(names, those, include_defaults=False)
        return found.on_conflict_do_nothing(index_elements=unless) if unless else found

    return BulkStatement({name: table.c[name].type for name in names}, rows=rows, columns=columns)


def bulk_update(table: sa.Table, names: Sequence[str], by: Sequence[str]) -> BulkStatement:
    """Set the columns ``names`` of the rows identified by the columns ``by``."""
    new = {f"new_{name}": table.c[name] for name in names}
    old = {f"old_{name}": table.c[name] for name in by}
    keys = {f"old_{column.name}": column for column in table.primary_key}
    types = {name: column.type for name, column in (new | old).items()}
    binds: dict[str, sa.BindParameter[Any]] = {
        name: sa.bindparam(name, type_=type_) for name, type_ in types.items()
    }
    rows = (
        sa.update(table)
        .where(*(column == binds[name] for name, column in old.items()))
        .values({column: binds[name] for name, column in new.items()})
    )

    def columns(given: InputRows) -> UpdateBase:
        # Locked in the order of their keys first: two who change the same rows do not block each
        # other.
        held = (
            sa.select(*(given.c[name].label(name) for name in (*new, *keys)))
            .where(*(column == given.c[name] for name, column in old.items()))
            .order_by(*table.primary_key)
            .with_for_update(key_share=True, of=table)
            .cte("held")
        )
        return (
            sa.update(table)
            .where(*(column == held.c[name] for name, column in keys.items()))
            .values({column: held.c[name] for name, column in new.items()})
        )

    return BulkStatement(types, rows=rows, columns=columns)


def _input_rows(types: Types, shared: Mapping[str, object]) -> InputRows:
    apart = {name: type_ for name, type_ in types.items() if name not in shared}
    arrays = (sa.bindparam(name, type_=array_of(type_)) for name, type_ in apart.items())
    columns = (sa.column(name, type_) for name, type_ in apart.items())
    rows = sa.func.unnest(*arrays).table_valued(*columns, with_ordinality=_ORDINALITY, name="given")
    rows = rows.render_derived()
    alone = {name: sa.bindparam(name, type_=_unbounded(types[name])) for name in shared}
    return InputRows({**{name: rows.c[name] for name in apart}, **alone}, rows.c[_ORDINALITY])


def array_of(type_: sa.types.TypeEngine[Any]) -> postgresql.ARRAY[Any]:
    """The array type of this column type."""
    return postgresql.ARRAY(_unbounded(type_))


def _unbounded(type_: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any]:
    """Text without a length limit: a cast would truncate what the column must refuse."""
    if isinstance(type_, sa.String):
        return sa.Text()
    return sa.DateTime(timezone=True) if isinstance(type_, UtcDateTime) else type_
