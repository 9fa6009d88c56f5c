"""The port of the event log, which promises only what Kafka can keep."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - msgspec reads the annotations
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from renewal.errors import XuqiError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import timedelta

    from schema.events import Event


class LogUnavailableError(XuqiError):
    """The log cannot be used now. What was read and not committed is read again."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """
    An event on the log whose body has not been decoded.

    The other fields fit their columns in ``schema.tables.log``, whatever is on the log.
    """

    position: int
    topic: str
    key: str
    kind: str
    identity: str
    at: datetime
    body: bytes
    traceparent: str | None = None  #: as it came with the event; without it, it is derived


class LogReader(Protocol):
    """One member of a consumer group."""

    def poll(self, at_most: int, wait: timedelta) -> Sequence[Record]:
        """
        Return the records after the last committed one, in order within a key.

        Empty if there was none in that time. What was polled and not committed is returned again.

        Raises:
            LogUnavailableError
        """
        ...

    def settle(self, last: Record, work: Any) -> None:  # noqa: ANN401 - a Work; stations have none
        """
        Record in that transaction that everything up to this record is dealt with.

        A log that keeps its offsets elsewhere does nothing here.
        """
        ...

    def commit(self, last: Record) -> None:
        """
        Continue after the last record of the last poll.

        Raises:
            LogUnavailableError: harmless; records are read again, and the inbox knows them.
        """
        ...

    def close(self) -> None: ...


class EventLog(Protocol):
    def append(self, events: Sequence[Event]) -> None:
        """Return once the events are durable. A fact appended twice may be read twice."""
        ...

    def reader(
        self, group: str, topics: Collection[str], *, exclude: Collection[str] = ()
    ) -> LogReader:
        """
        Return a reader that may leave out events of the kinds ``exclude``, except the last of a
        poll, by which it advances.
        """
        ...
