"""One statement for many rows, bound by the driver itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from schema.tables.types import UtcDateTime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Row = Sequence[Any]


@dataclass(frozen=True)
class _Compiled:
    """
    As one database wants it.
    """

    sql: str
    moments: Sequence[tuple[int, Callable[[Any], Any]]]  #: where they stand, and how they are bound
    arrange: Callable[[Row], Any]  #: a row into what the driver takes

    def given(self, rows: Iterable[Row]) -> Any:  # noqa: ANN401 - as the driver wants it
        return [self._bound(row) for row in rows]

    def _bound(self, row: Row) -> Any:  # noqa: ANN401 - a tuple or a dict, as the driver wants it
        if self.moments:
            row = list(row)
            for place, bind in self.moments:
                row[place] = bind(row[place])
        return self.arrange(row)


@dataclass(frozen=True)
class _Arrays:
    """
    As PostgreSQL has it soonest: one statement with an array for each column.
    """

    sql: str
    names: Sequence[str]
    moments: Sequence[tuple[int, Callable[[Any], Any]]]

    def given(self, rows: Iterable[Row]) -> Any:  # noqa: ANN401 - as the driver wants it
        columns = [list(column) for column in zip(*rows, strict=True)]
        for place, bind in self.moments:
            columns[place] = [bind(value) for value in columns[place]]
        return dict(zip(self.names, columns, strict=True))


class Many:
    """
    An ``executemany`` that is compiled once for each database.

    SQLAlchemy binds each row anew, which costs more than writing it; here only moments are
    converted, and one that many rows share is converted once. To PostgreSQL rows to insert go as
    arrays, which costs half of telling it each row.
    """

    def __init__(self, statement: sa.Insert | sa.Update, names: Sequence[str]) -> None:
        self._statement = statement
        self._names = tuple(names)
        self._compiled: dict[str, _Compiled | _Arrays] = {}

    def execute(self, connection: sa.Connection, rows: Iterable[Row]) -> sa.CursorResult[Any]:
        """
        Execute it for rows whose values are in the order of the names; at least one.
        """
        dialect = connection.dialect
        if dialect.name not in self._compiled:
            self._compiled[dialect.name] = self._compile(dialect)
        compiled = self._compiled[dialect.name]
        return connection.exec_driver_sql(compiled.sql, compiled.given(rows))

    def _compile(self, dialect: sa.Dialect) -> _Compiled | _Arrays:
        compiled: Any = self._statement.compile(dialect=dialect, column_keys=self._names)
        types = [compiled.binds[name].type for name in self._names]
        moments: list[tuple[int, Callable[[Any], Any]]] = []
        for place, type_ in enumerate(types):
            bind = type_.dialect_impl(dialect).bind_processor(dialect)
            if isinstance(type_, UtcDateTime):
                moments.append((place, lru_cache(bind)))
        if isinstance(self._statement, sa.Insert) and dialect.name == "postgresql":
            sql = _from_arrays(self._statement, self._names, types, dialect)
            return _Arrays(sql, self._names, moments)
        return _Compiled(str(compiled), moments, self._arranged(compiled))

    def _arranged(self, compiled: Any) -> Callable[[Row], Any]:  # noqa: ANN401 - SQLAlchemy's own
        if not compiled.positional:
            return lambda row: dict(zip(self._names, row, strict=True))
        return itemgetter(*(self._names.index(name) for name in compiled.positiontup))


def _from_arrays(
    insert: sa.Insert, names: Sequence[str], types: Sequence[Any], dialect: sa.Dialect
) -> str:
    """
    The same insert, of rows made from arrays, in their order: so are sequence numbers given.
    """
    columns = [f"c{place}" for place in range(len(names))]
    arrays = ", ".join(f":{name}" for name in names)
    rows = sa.text(f"unnest({arrays}) WITH ORDINALITY AS given ({', '.join(columns)}, nth)")
    what: list[Any] = [sa.literal_column(column) for column in columns]
    select = sa.select(*what).select_from(rows).order_by(sa.text("nth"))
    sql = str(insert.from_select(names, select, include_defaults=False).compile(dialect=dialect))
    for name, type_ in zip(names, types, strict=True):
        # A text's width is held by its column: a cast to it would silently cut the text off.
        cast = "TEXT" if isinstance(type_, sa.String) else type_.compile(dialect=dialect)
        sql = sql.replace(f"%({name})s", f"%({name})b::{cast}[]")
    return sql
