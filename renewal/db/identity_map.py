"""An identity map: rows read once in a transaction and written back together."""

from __future__ import annotations

from functools import cache
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec
import sqlalchemy as sa

from renewal.db.bulk import BulkStatement, bulk_insert, bulk_update
from renewal.db.key_lookup import lookup_by_keys
from renewal.db.rows import Row
from renewal.errors import NotFoundError, XuqiError
from schema.reasons import RefusalReason

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    Values = Callable[[Row], tuple[Any, ...]]

R = TypeVar("R", bound=Row)
Key = Any

#: SQLite takes 32,766 parameters in a statement, PostgreSQL 65,535.
PAGE = 500


class ConflictError(XuqiError):
    """The row was changed by another transaction since it was read: read again and decide again."""


def pages(keys: Collection[Key], size: int = PAGE) -> Iterator[list[Key]]:
    whole = list(keys)
    return (whole[start : start + size] for start in range(0, len(whole), size))


class _Change(Generic[R]):
    """The changed fields of a row, and the version they were changed from."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.fields: set[str] = {"version"}


class IdentityMap(Generic[R]):
    """
    The rows of one table, by key, as one transaction sees and changes them.

    ``load`` costs one query for all keys that are not here yet; ``put`` and ``change``
    cost nothing until ``flush``, which is one statement each. A change is held
    against the row's version, so that it is never made on top of another's.

    Changed rows that say so are written last, so that a unique slot is freed before it is taken.
    """

    def __init__(self, connection: sa.Connection, row: type[R]) -> None:
        self._connection = connection
        self._table = table = row.table
        self._row = row
        self._key = attrgetter(*(column.name for column in table.primary_key))
        self._rows: dict[Key, R | None] = {}
        self._put: dict[Key, R] = {}
        self._changed: dict[Key, _Change[R]] = {}

    def load(self, keys: Iterable[Key]) -> None:
        wanted = {key for key in keys if key is not None and key not in self._rows}
        self._rows.update(dict.fromkeys(wanted))
        for page in pages(wanted):
            self.read(_by_keys(self._table, self._connection.dialect.name), {"keys": page})

    def read(self, query: sa.Select[Any], named: dict[str, object] | None = None) -> list[R]:
        """
        Return the rows of a query over the whole table; a row that is already loaded keeps its
        state here.
        """
        found = self._connection.execute(query, named or {})
        if tuple(found.keys()) != self._row.__struct_fields__:
            raise TypeError(f"{self._row.__name__} has not the fields of {self._table.name}")
        return [self.remember(self._row(*row)) for row in found.all()]

    def remember(self, row: R) -> R:
        key = self._key(row)
        known = self._rows.get(key)
        if known is None:
            self._rows[key] = known = row
        return known

    def find(self, key: Key) -> R | None:
        """Return the row with that key, or ``None``."""
        if key not in self._rows:
            self.load((key,))
        return self._rows.get(key)

    def get(self, key: Key) -> R:
        """
        Return the row with that key.

        Raises:
            NotFoundError: there is none.
        """
        row = self.find(key)
        if row is None:
            raise NotFoundError(RefusalReason.NOT_FOUND.why(key=str(key)[:40]))
        return row

    def put(self, row: R) -> R:
        """Add a row."""
        key = self._key(row)
        self._rows[key] = self._put[key] = row
        return row

    def change(self, row: R, **changes: object) -> R:
        """
        Change a loaded row; ``flush`` refuses the change if another transaction came first.

        Raises:
            ConflictError: this is an older version of a row that was changed already.
        """
        key = self._key(row)
        if self._rows.get(key) is not row:
            raise ConflictError(f"{self._table.name} {key} was changed by another transaction")
        if key in self._put:
            return self.put(msgspec.structs.replace(row, **changes))
        if key not in self._changed:
            version = _version(row)
            self._changed[key] = _Change(version)
            changes["version"] = version + 1
        self._changed[key].fields.update(changes)
        self._rows[key] = changed = msgspec.structs.replace(row, **changes)
        return changed

    def flush(self) -> None:
        """
        Write added and changed rows.

        Raises:
            ConflictError
        """
        if self._put:
            put, self._put = self._put, {}
            statement, values = _insert(self._table)
            statement.execute(self._connection, map(values, put.values()))
        if self._changed:
            changed, self._changed = self._changed, {}
            groups = self._grouped(changed)
            for takes, fields in sorted(groups, key=itemgetter(0)):
                keys = groups[takes, fields]
                self._write(fields, {key: changed[key].version for key in keys})

    def _grouped(
        self, changed: dict[Key, _Change[R]]
    ) -> dict[tuple[bool, frozenset[str]], list[Key]]:
        """
        Keys of changed rows, grouped by the set of changed fields: one statement for each group.
        """
        groups: dict[tuple[bool, frozenset[str]], list[Key]] = {}
        for key, change in changed.items():
            alike = self.get(key).written_last(), frozenset(change.fields)
            groups.setdefault(alike, []).append(key)
        for keys in groups.values():
            keys.sort()  # who take their locks in one order do not block each other
        return groups

    def _write(self, fields: frozenset[str], versions: dict[Key, int]) -> None:
        statement, values = _update(self._table, fields)
        rows = [(*values(self.get(key)), version) for key, version in versions.items()]
        if statement.execute(self._connection, rows).rowcount != len(versions):
            raise ConflictError(f"{self._table.name}: a row was changed by another transaction")


def _version(row: Row) -> int:
    version: int = row.version  # type: ignore[attr-defined] # every table that is changed has one
    return version


@cache
def _by_keys(table: sa.Table, dialect: str) -> sa.Select[Any]:
    columns = list(table.primary_key)
    if len(columns) == 1:
        return lookup_by_keys(table.columns, columns[0])[dialect]
    by = sa.tuple_(*columns)
    return sa.select(table).where(by.in_(sa.bindparam("keys", expanding=True)))


@cache
def _insert(table: sa.Table) -> tuple[BulkStatement, Values]:
    """The statement, and the getter of its values from a row."""
    names = [column.name for column in table.columns]
    return bulk_insert(table, names), attrgetter(*names)


@cache
def _update(table: sa.Table, fields: frozenset[str]) -> tuple[BulkStatement, Values]:
    """The same for changed fields, by key and by the older version, which comes last."""
    keys = [column.name for column in table.primary_key]
    names = sorted(fields)
    return bulk_update(table, names, by=(*keys, "version")), attrgetter(*names, *keys)
