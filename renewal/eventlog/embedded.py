"""The log on the store's own tables: the outbox is the log."""

from __future__ import annotations

import fcntl
import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from renewal.store import log as queries

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from renewal.eventlog.port import Record
    from renewal.store.engine import Store
    from renewal.store.work import Work
    from schema.events import Event

#: Another process may have written: look again at least this often.
LOOK_AGAIN = timedelta(milliseconds=200)


class EmbeddedLog:
    def __init__(self, store: Store) -> None:
        self._store = store

    def append(self, events: Sequence[Event]) -> None:
        with self._store.work() as work:
            for event in events:
                work.emit(event)

    def reader(self, group: str, topics: Collection[str]) -> EmbeddedReader:
        return EmbeddedReader(self._store, group, topics)


class EmbeddedReader:
    """
    The only reader of its group: a second one gets nothing until the first is gone.
    """

    def __init__(self, store: Store, group: str, topics: Collection[str]) -> None:
        self._store = store
        self._group = group
        self._topics = tuple(sorted(topics))
        self._claim = _Claim(store, group)
        self._position: int | None = None
        self._given: int | None = None

    def poll(self, at_most: int, wait: timedelta) -> Sequence[Record]:
        seen = self._store.changes
        found = self._look(at_most)
        if not found and wait:
            self._store.wait_for_change(seen, min(wait, LOOK_AGAIN))
            found = self._look(at_most)
        return found

    def _look(self, at_most: int) -> Sequence[Record]:
        if not self._claim.held():
            return ()
        if self._position is None:
            self._position = self._start()
        with self._store.look() as work:
            return queries.events_after(work, self._topics, self._position, at_most)

    def _start(self) -> int:
        with self._store.look() as work:
            position = queries.position_of(work, self._group)
        if position is None:
            position = 0
            with self._store.work() as work:
                queries.start_at(work, self._group, position)
        return position

    def settle(self, last: Record, work: Work) -> None:
        queries.move_on(work, self._group, last.position)

    def commit(self, last: Record) -> None:
        self._position = last.position

    def close(self) -> None:
        self._claim.release()


class _Claim:
    """
    A group's place, held by one reader; the system takes it back when the process dies.
    """

    def __init__(self, store: Store, group: str) -> None:
        self._store = store
        self._group = group
        self._file: int | None = None

    def held(self) -> bool:
        if self._file is None:
            self._file = self._take()
        return self._file is not None

    def _take(self) -> int | None:
        database = self._store.engine.url.database
        if self._store.engine.dialect.name != "sqlite" or not database or database == ":memory:":
            return -1
        folder = Path(f"{database}.readers")
        folder.mkdir(exist_ok=True)
        file = os.open(folder / self._group, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return None
        return file

    def release(self) -> None:
        if self._file is not None and self._file >= 0:
            os.close(self._file)
        self._file = None
