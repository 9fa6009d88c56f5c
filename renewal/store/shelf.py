"""Rows read once in a transaction, and written back in one go."""

from __future__ import annotations

from functools import cache
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec
import sqlalchemy as sa

from renewal.errors import XuqiError
from renewal.store.among import one_by_one
from renewal.store.many import Many, adding, changing
from renewal.store.rows import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    Values = Callable[[Row], tuple[Any, ...]]

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


class _Change(Generic[R]):
    """
    Which fields of a row have changed, since which version of it.
    """

    def __init__(self, version: int) -> None:
        self.version = version
        self.fields: set[str] = {"version"}


class Shelf(Generic[R]):
    """
    The rows of one table, by key, as one transaction sees and changes them.

    ``load`` costs one query for all keys that are not here yet; ``put`` and ``change``
    cost nothing until ``flush``, which is one statement each. A change is held
    against the row's version, so that it is never made on top of another's.

    ``takes``: rows that take a place which only one may have are written after those that have
    given one up.
    """

    def __init__(
        self,
        connection: sa.Connection,
        table: sa.Table,
        row: type[R],
        takes: Callable[[R], bool] = bool,  # as they stand, all do
    ) -> None:
        self._connection = connection
        self._table = table
        self._row = row
        self._takes = takes
        self._key = attrgetter(*(column.name for column in table.primary_key))
        self._here: dict[Key, R | None] = {}
        self._put: dict[Key, R] = {}
        self._changed: dict[Key, _Change[R]] = {}

    def load(self, keys: Iterable[Key]) -> None:
        wanted = {key for key in keys if key is not None and key not in self._here}
        self._here.update(dict.fromkeys(wanted))
        for page in pages(wanted):
            self.read(_by_keys(self._table, self._connection.dialect.name), {"keys": page})

    def read(self, query: sa.Select[Any], named: dict[str, object] | None = None) -> list[R]:
        """
        Return the rows of a query over the whole table; what is here already stays as it is here.
        """
        found = self._connection.execute(query, named or {})
        if tuple(found.keys()) != self._row.__struct_fields__:
            raise TypeError(f"{self._row.__name__} has not the fields of {self._table.name}")
        return [self.remember(self._row(*row)) for row in found.all()]

    def remember(self, row: R) -> R:
        key = self._key(row)
        known = self._here.get(key)
        if known is None:
            self._here[key] = known = row
        return known

    def find(self, key: Key) -> R | None:
        """
        Return the row with that key, or ``None``; of no key there is none.
        """
        if key not in self._here:
            self.load((key,))
        return self._here.get(key)

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
        """
        Add a row.
        """
        key = self._key(row)
        self._here[key] = self._put[key] = row
        return row

    def change(self, row: R, **changes: object) -> R:
        """
        Change a row as it was read; the change is refused at ``flush`` if another came first.

        Raises:
            ConflictError: the row was changed already, and this is an older sight of it.
        """
        key = self._key(row)
        if self._here.get(key) is not row:
            raise ConflictError(f"{self._table.name} {key} has changed meanwhile")
        if key in self._put:
            return self.put(msgspec.structs.replace(row, **changes))
        if key not in self._changed:
            version = _version(row)
            self._changed[key] = _Change(version)
            changes["version"] = version + 1
        self._changed[key].fields.update(changes)
        self._here[key] = changed = msgspec.structs.replace(row, **changes)
        return changed

    def flush(self) -> None:
        """
        Write what was put and changed.

        Raises:
            ConflictError
        """
        if self._put:
            put, self._put = self._put, {}
            statement, values = _insert(self._table)
            statement.execute(self._connection, map(values, put.values()))
        if self._changed:
            changed, self._changed = self._changed, {}
            groups = self._alike(changed)
            for takes, fields in sorted(groups, key=itemgetter(0)):
                keys = groups[takes, fields]
                self._write(fields, {key: changed[key].version for key in keys})

    def _alike(
        self, changed: dict[Key, _Change[R]]
    ) -> dict[tuple[bool, frozenset[str]], list[Key]]:
        """
        Keys of rows of which the same fields have changed: one statement writes them all.
        """
        groups: dict[tuple[bool, frozenset[str]], list[Key]] = {}
        for key, change in changed.items():
            alike = self._takes(self.get(key)), frozenset(change.fields)
            groups.setdefault(alike, []).append(key)
        for keys in groups.values():
            keys.sort()  # who take their locks in one order do not block each other
        return groups

    def _write(self, fields: frozenset[str], versions: dict[Key, int]) -> None:
        statement, values = _update(self._table, fields)
        rows = [(*values(self.get(key)), version) for key, version in versions.items()]
        if statement.execute(self._connection, rows).rowcount != len(versions):
            raise ConflictError(f"{self._table.name}: a row has changed meanwhile")


def _version(row: Row) -> int:
    version: int = row.version  # type: ignore[attr-defined] # every table that is changed has one
    return version


@cache
def _by_keys(table: sa.Table, dialect: str) -> sa.Select[Any]:
    columns = list(table.primary_key)
    if len(columns) == 1:
        return one_by_one(table.columns, columns[0])[dialect]
    by = sa.tuple_(*columns)
    return sa.select(table).where(by.in_(sa.bindparam("keys", expanding=True)))


@cache
def _insert(table: sa.Table) -> tuple[Many, Values]:
    """
    The statement, and what takes its values from a row.
    """
    names = [column.name for column in table.columns]
    return adding(table, names), attrgetter(*names)


@cache
def _update(table: sa.Table, fields: frozenset[str]) -> tuple[Many, Values]:
    """
    The same, for those fields by key and older version, which comes last.
    """
    keys = [column.name for column in table.primary_key]
    names = sorted(fields)
    return changing(table, names, by=(*keys, "version")), attrgetter(*names, *keys)
