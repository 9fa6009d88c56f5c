"""A log in memory, for the thousand short lives of a station that the matrix goes through."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from renewal.eventlog.port import Record
from schema.codec import encode, kind_of
from tests.token_station.tokens import START

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import timedelta

    from schema.events import Event


@dataclass
class MemoryLog:
    """
    Keeps each fact once, and gives all of it to a new reader, as the embedded log does.
    """

    records: list[Record] = field(default_factory=list)

    def append(self, events: Sequence[Event]) -> None:
        known = {record.identity for record in self.records}
        for event in events:
            if event.identity not in known:
                self.records.append(self._record(event))

    def _record(self, event: Event) -> Record:
        return Record(
            position=len(self.records) + 1,
            topic=event.topic_name,
            key=event.key,
            kind=kind_of(event),
            identity=event.identity,
            at=START,
            body=encode(event),
        )

    def reader(
        self, group: str, topics: Collection[str], *, exclude: Collection[str] = ()
    ) -> MemoryReader:
        assert not exclude
        assert group
        return MemoryReader(self, frozenset(topics))


@dataclass
class MemoryReader:
    log: MemoryLog
    topics: frozenset[str]
    position: int = 0

    def poll(self, at_most: int, wait: timedelta) -> list[Record]:
        assert not wait
        after = self.log.records[self.position :]
        return [one for one in after if one.topic in self.topics][:at_most]

    def settle(self, last: Record, work: Any) -> None:  # noqa: ANN401 - as the port has it
        """A station has no transaction."""

    def commit(self, last: Record) -> None:
        self.position = last.position

    def close(self) -> None:
        """It holds nothing."""
