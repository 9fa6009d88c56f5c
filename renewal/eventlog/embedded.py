"""The log on the store's own tables: the outbox is the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal.store import log as queries

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import timedelta

    from renewal.eventlog.port import Record
    from renewal.store.engine import Store
    from renewal.store.work import Work
    from schema.events import Event


class EmbeddedLog:
    def __init__(self, store: Store) -> None:
        self._store = store

    def append(self, events: Sequence[Event]) -> None:
        with self._store.work() as work:
            for event in events:
                work.emit(event)

    def reader(
        self, group: str, topics: Collection[str], *, without: Collection[str] = ()
    ) -> EmbeddedReader:
        if len(set(map(queries.lane_of, topics))) > 1:
            raise ValueError(f"{group}: codes are told in a lane of their own, and are read alone")
        return EmbeddedReader(self._store, group, topics, without)


class EmbeddedReader:
    """
    The only reader of its group: a second one gets nothing until the first is gone.
    """

    def __init__(
        self, store: Store, group: str, topics: Collection[str], without: Collection[str]
    ) -> None:
        self._store = store
        self._group = group
        self._topics = tuple(sorted(topics))
        self._without = frozenset(without)
        self._claim = store.claim(f"{group}.reader")
        self._position: int | None = None

    def poll(self, at_most: int, wait: timedelta) -> Sequence[Record]:
        seen = self._store.changes
        found = self._look(at_most)
        if not found and wait:
            wait = min(wait, self._store.look_again)
            self._store.wait_for_change(seen, wait, without=self._without)
            found = self._look(at_most)
        return found

    def _look(self, at_most: int) -> Sequence[Record]:
        if not self._claim.held():
            self._position = None
            return ()
        with self._store.look() as work:
            if self._position is None:
                self._position = queries.position_of(work, self._group)
            return queries.events_after(
                work, self._topics, self._position, at_most, without=self._without
            )

    def settle(self, last: Record, work: Work) -> None:
        queries.move_on(work, self._group, last.position)

    def commit(self, last: Record) -> None:
        self._position = last.position

    def close(self) -> None:
        self._claim.close()
        self._position = None
