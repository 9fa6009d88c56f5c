"""Rows read once in a transaction, and written back in one go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import msgspec
import sqlalchemy as sa

from renewal.errors import XuqiError
from renewal.store.rows import Row

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

R = TypeVar("R", bound=Row)
Key = Any

#: SQLite takes 32,766 parameters in a statement, PostgreSQL 65,535.
PAGE = 500


class ConflictError(XuqiError):
    """
    Somebody else has changed the row since it was read: read again and decide again.
    """


def pages(keys: Collection[Key], size: int = PAGE) -> Iterator[list[Key]]:
    whole = list(keys)
    return (whole[start : start + size] for start in range(0, len(whole), size))


class Shelf(Generic[R]):
    """
    The rows of one table, by key, as one transaction sees and changes them.

    ``load`` costs one query for all keys that are not here yet; ``put`` and ``change``
    cost nothing until ``flush``, which is one ``executemany`` each. A change is held
    against the row's version, so that it is never made on top of another's.
    """

    def __init__(self, connection: sa.Connection, table: sa.Table, row: type[R]) -> None:
        self._connection = connection
        self._table = table
        self._row = row
        self._keys = [column.name for column in table.primary_key]
        self._here: dict[Key, R | None] = {}
        self._put: dict[Key, R] = {}
        self._changed: dict[Key, tuple[R, R]] = {}  # as it was read, as it is now

    def _key(self, row: R) -> Key:
        values = tuple(getattr(row, name) for name in self._keys)
        return values[0] if len(values) == 1 else values

    def load(self, keys: Iterable[Key]) -> None:
        wanted = {key for key in keys if key is not None and key not in self._here}
        self._here.update(dict.fromkeys(wanted))
        columns = [self._table.c[name] for name in self._keys]
        by = columns[0] if len(columns) == 1 else sa.tuple_(*columns)
        for page in pages(wanted):
            self.read(sa.select(self._table).where(by.in_(page)))

    def read(self, query: sa.Select[Any]) -> list[R]:
        """
        Return the rows of a query over the whole table; what is here already stays as it is here.
        """
        rows = [self._row(**row) for row in self._connection.execute(query).mappings()]
        return [self.remember(row) for row in rows]

    def remember(self, row: R) -> R:
        key = self._key(row)
        known = self._here.get(key)
        if known is None:
            self._here[key] = known = row
        return known

    def find(self, key: Key) -> R | None:
        """
        Return the row with that key, or ``None``.
        """
        if key not in self._here:
            self.load((key,))
        return self._here[key]

    def get(self, key: Key) -> R:
        """
        Return the row with that key.

        Raises:
            XuqiError: there is none.
        """
        row = self.find(key)
        if row is None:
            raise XuqiError(f"there is no {self._table.name} {key}")
        return row

    def put(self, row: R) -> R:
        key = self._key(row)
        self._here[key] = self._put[key] = row
        return row

    def highest_put(self) -> int:
        """
        The highest key among the rows that are put and not yet written.
        """
        return max(self._put, default=0)

    def change(self, row: R, **changes: object) -> R:
        """
        Change a row as it was read; the change is refused at ``flush`` if another came first.

        Raises:
            ConflictError: the row was changed already, and this is an older sight of it.
        """
        key = self._key(row)
        if self._here.get(key) is not row:
            raise ConflictError(f"{self._table.name} {key} has changed meanwhile")
        version = cast("int", getattr(row, "version"))  # noqa: B009 - not every row has one
        if key in self._put:
            return self.put(msgspec.structs.replace(row, **changes))
        before = self._changed[key][0] if key in self._changed else row
        first = before is row
        changed = msgspec.structs.replace(row, **changes, version=version + 1 if first else version)
        self._changed[key] = (before, changed)
        self._here[key] = changed
        return changed

    def flush(self) -> None:
        """
        Write what was put and changed.

        Raises:
            ConflictError
        """
        if self._put:
            self._connection.execute(
                sa.insert(self._table), [msgspec.structs.asdict(row) for row in self._put.values()]
            )
            self._put.clear()
        if self._changed:
            self._write_changes()

    def _write_changes(self) -> None:
        groups: dict[frozenset[str], list[dict[str, object]]] = {}
        for before, after in self._changed.values():
            old, new = msgspec.structs.asdict(before), msgspec.structs.asdict(after)
            fields = {name for name in new if new[name] != old[name]}
            row = {f"new_{name}": new[name] for name in fields}
            row |= {f"old_{name}": old[name] for name in (*self._keys, "version")}
            groups.setdefault(frozenset(fields), []).append(row)
        self._changed.clear()
        for fields, rows in groups.items():
            table = self._table
            statement = (
                sa.update(table)
                .where(*(table.c[n] == sa.bindparam(f"old_{n}") for n in (*self._keys, "version")))
                .values({name: sa.bindparam(f"new_{name}") for name in sorted(fields)})
            )
            if self._connection.execute(statement, rows).rowcount != len(rows):
                raise ConflictError(f"{table.name}: a row has changed meanwhile")
