"""One statement for many rows, bound by the driver itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from schema.tables.types import UtcDateTime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import sqlalchemy as sa

    Row = Sequence[Any]


@dataclass(frozen=True)
class _Compiled:
    """
    As one database wants it.
    """

    sql: str
    moments: Sequence[tuple[int, Callable[[Any], Any]]]  #: where they stand, and how they are bound
    arrange: Callable[[Row], Any]  #: a row into what the driver takes

    def bound(self, row: Row) -> Any:  # noqa: ANN401 - a tuple or a dict, as the driver wants it
        if self.moments:
            row = list(row)
            for place, bind in self.moments:
                row[place] = bind(row[place])
        return self.arrange(row)


class Many:
    """
    An ``executemany`` that is compiled once for each database.

    SQLAlchemy binds each row anew, which costs more than writing it; here only moments are
    converted, and one that many rows share is converted once.
    """

    def __init__(self, statement: sa.Insert | sa.Update, names: Sequence[str]) -> None:
        self._statement = statement
        self._names = tuple(names)
        self._compiled: dict[str, _Compiled] = {}

    def execute(self, connection: sa.Connection, rows: Iterable[Row]) -> sa.CursorResult[Any]:
        """
        Execute it for rows whose values are in the order of the names.
        """
        dialect = connection.dialect
        if dialect.name not in self._compiled:
            self._compiled[dialect.name] = self._compile(dialect)
        compiled = self._compiled[dialect.name]
        return connection.exec_driver_sql(compiled.sql, [compiled.bound(row) for row in rows])

    def _compile(self, dialect: sa.Dialect) -> _Compiled:
        compiled: Any = self._statement.compile(dialect=dialect, column_keys=self._names)
        moments = []
        for place, name in enumerate(self._names):
            type_ = compiled.binds[name].type
            bind = type_.dialect_impl(dialect).bind_processor(dialect)
            if isinstance(type_, UtcDateTime):
                moments.append((place, lru_cache(bind)))
        return _Compiled(str(compiled), moments, self._arranged(compiled))

    def _arranged(self, compiled: Any) -> Callable[[Row], Any]:  # noqa: ANN401 - SQLAlchemy's own
        if not compiled.positional:
            return lambda row: dict(zip(self._names, row, strict=True))
        return itemgetter(*(self._names.index(name) for name in compiled.positiontup))
