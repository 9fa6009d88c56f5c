"""What the house asks of a log: what Kafka can keep, and no more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime, timedelta

    from renewal.store.work import Work
    from schema.events import Event


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """
    An event as it lies on the log: its body has not been looked at.
    """

    position: int
    topic: str
    key: str
    kind: str
    identity: str
    at: datetime
    body: bytes


class Reader(Protocol):
    """
    One member of a group of consumers.
    """

    def poll(self, at_most: int, wait: timedelta) -> Sequence[Record]:
        """
        Return the next records, in order within a key; none if there was none in that time.
        """
        ...

    def settle(self, last: Record, work: Work) -> None:
        """
        Note that everything up to this record is dealt with, in that transaction where the log can.
        """
        ...

    def commit(self, last: Record) -> None:
        """
        Note the same after the transaction, where the log can only do that.
        A failure here is harmless: records are read again, and the inbox knows them.
        """
        ...

    def close(self) -> None: ...


class EventLog(Protocol):
    def append(self, events: Sequence[Event]) -> None:
        """
        Return once the events are durable. A fact told twice may be read twice.
        """
        ...

    def reader(self, group: str, topics: Collection[str]) -> Reader: ...
