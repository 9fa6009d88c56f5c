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
    Binds = Mapping[str, Callable[[Any], Any]]
#: A parameter in psycopg's words; "b" sends it as the database keeps it, and not as a text.
_A_BIND = re.compile(r"%\((\w+)\)s")
_NTH = "nth_given"  #: where a row stands among those that are given
#: From so many rows on, a value that they share is sent once.
WORTH_SHARING = 16


@dataclass(frozen=True)
class Given:
    """
    The rows that a statement is given on PostgreSQL, as if they were a table's.
    """

    c: Mapping[str, sa.ColumnElement[Any]]
    nth: sa.ColumnElement[int]


class Many:
    """
    A statement for many rows that is compiled once for each database.

    SQLAlchemy binds each row anew, which costs more than writing it; here only moments are
    converted, and one that many rows share is converted once. SQLite takes the rows one after
    another, which costs it nothing; to PostgreSQL go the columns, an array each, or one value
    where the rows share it.
    """

    def __init__(
        self, types: Types, *, rows: UpdateBase, columns: Callable[[Given], UpdateBase]
    ) -> None:
        self._types = types
        self._rows = rows
        self._columns = columns
        self._binds: dict[str, Binds] = {}  # of moments, by dialect
        self._by_row: tuple[str, Callable[[Row], Row]] | None = None
        self._by_column: dict[frozenset[str], str] = {}  # by the names of what is shared

    def execute(self, connection: sa.Connection, rows: Iterable[Row]) -> sa.CursorResult[Any]:
        """
        Execute it for rows, of which there are some, with their values in the order of the names.
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
        places = [(place, binds[name]) for place, name in enumerate(self._types) if name in binds]
        return connection.exec_driver_sql(sql, [arrange(_bound(row, places)) for row in rows])

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
        shared = _shared(columns)
        if (names := frozenset(shared)) not in self._by_column:
            statement = self._columns(_given(self._types, shared))
            sql = str(statement.compile(dialect=connection.dialect))
            self._by_column[names] = _A_BIND.sub(r"%(\1)b", sql)
        return connection.exec_driver_sql(self._by_column[names], columns | shared)


def _bound(row: Row, moments: Sequence[tuple[int, Callable[[Any], Any]]]) -> Row:
    if not moments:
        return row
    row = list(row)
    for place, bind in moments:
        row[place] = bind(row[place])
    return row


def _shared(columns: Mapping[str, list[Any]]) -> dict[str, Any]:
    """
    The values that all rows have, by name; there is an array left to say how many rows there are.
    """
    *others, last = columns
    if len(columns[last]) < WORTH_SHARING:
        return {}
    return {
        name: values[0]
        for name in others
        if (values := columns[name]).count(values[0]) == len(values)
    }


def adding(table: sa.Table, names: Sequence[str], *, unless: Sequence[str] = ()) -> Many:
    """
    Rows to add; ``unless``: but for those whose like in these columns is there.
    """
    rows: Any = sa.insert(table)
    if unless:
        rows = sqlite.insert(table).on_conflict_do_nothing(index_elements=unless)

    def columns(given: Given) -> UpdateBase:
        # In their order, for so are sequence numbers given.
        those = sa.select(*(given.c[name] for name in names)).order_by(given.nth)
        found = postgresql.insert(table).from_select(names, those, include_defaults=False)
        return found.on_conflict_do_nothing(index_elements=unless) if unless else found

    return Many({name: table.c[name].type for name in names}, rows=rows, columns=columns)


def changing(table: sa.Table, names: Sequence[str], by: Sequence[str]) -> Many:
    """
    New values of the columns ``names`` for the rows with those of the columns ``by``.
    """
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

    def columns(given: Given) -> UpdateBase:
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

    return Many(types, rows=rows, columns=columns)


def _given(types: Types, shared: Mapping[str, object]) -> Given:
    apart = {name: type_ for name, type_ in types.items() if name not in shared}
    arrays = (sa.bindparam(name, type_=array_of(type_)) for name, type_ in apart.items())
    columns = (sa.column(name, type_) for name, type_ in apart.items())
    rows = sa.func.unnest(*arrays).table_valued(*columns, with_ordinality=_NTH, name="given")
    rows = rows.render_derived()
    alone = {name: sa.bindparam(name, type_=_any_length(types[name])) for name in shared}
    return Given({**{name: rows.c[name] for name in apart}, **alone}, rows.c[_NTH])


def array_of(type_: sa.types.TypeEngine[Any]) -> postgresql.ARRAY[Any]:
    """
    Many of these.
    """
    return postgresql.ARRAY(_any_length(type_))


def _any_length(type_: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any]:
    """
    Texts of any length: a cast would cut off what the column refuses.
    """
    if isinstance(type_, sa.String):
        return sa.Text()
    return sa.DateTime(timezone=True) if isinstance(type_, UtcDateTime) else type_
