"""The event log on the store's own tables: the outbox is the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal.db.outbox import lane_of
from renewal.eventlog import queries

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import timedelta

    from renewal.db.engine import Store
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.eventlog.port import Record
    from schema.events import Event


class EmbeddedLog:
    def __init__(self, store: Store) -> None:
        self._store = store

    def append(self, events: Sequence[Event]) -> None:
        with self._store.transaction() as work:
            for event in events:
                work.emit(event)

    def reader(
        self, group: str, topics: Collection[str], *, exclude: Collection[str] = ()
    ) -> EmbeddedReader:
        if len(set(map(lane_of, topics))) > 1:
            raise ValueError(f"{group}: the topic of codes cannot be read together with others")
        return EmbeddedReader(self._store, group, topics, exclude)


class EmbeddedReader:
    """The only reader of its group: a second one gets nothing until the first is gone."""

    def __init__(
        self, store: Store, group: str, topics: Collection[str], without: Collection[str]
    ) -> None:
        self._store = store
        self._group = group
        self._topics = tuple(sorted(topics))
        self._without = frozenset(without)
        self._claim = store.advisory_lock(f"{group}.reader")
        self._position: int | None = None

    def poll(self, at_most: int, wait: timedelta) -> Sequence[Record]:
        seen = self._store.changes
        found = self._look(at_most)
        if not found and wait:
            wait = min(wait, self._store.poll_interval)
            self._store.wait_for_change(seen, wait, exclude=self._without)
            found = self._look(at_most)
        return found

    def _look(self, at_most: int) -> Sequence[Record]:
        if not self._claim.acquire():
            self._position = None
            return ()
        with self._store.snapshot() as work:
            if self._position is None:
                self._position = queries.position_of(work, self._group)
            return queries.events_after(
                work, self._topics, self._position, at_most, exclude=self._without
            )

    def settle(self, last: Record, work: UnitOfWork) -> None:
        queries.advance(work, self._group, last.position)

    def commit(self, last: Record) -> None:
        self._position = last.position

    def close(self) -> None:
        self._claim.close()
        self._position = None
