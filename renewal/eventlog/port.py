"""What the house asks of a log: what Kafka can keep, and no more."""

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
    """
    The log cannot be used now. What was read and not committed is read again.
    """


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """
    An event as it lies on the log: its body has not been looked at.

    The other fields fit their columns in ``schema.tables.log``, whatever lies on the log.
    """

    position: int
    topic: str
    key: str
    kind: str
    identity: str
    at: datetime
    body: bytes
    traceparent: str | None = None  #: as it came with the event; without it, it is derived


class Reader(Protocol):
    """
    One member of a group of consumers.
    """

    def poll(self, at_most: int, wait: timedelta) -> Sequence[Record]:
        """
        Return the records after the last committed one, in order within a key.

        None if there was none in that time. What was polled and not committed is given again.

        Raises:
            LogUnavailableError
        """
        ...

    def settle(self, last: Record, work: Any) -> None:  # noqa: ANN401 - a Work; stations have none
        """
        Note that everything up to this record is dealt with, in that transaction.

        A log that keeps its offsets elsewhere does nothing here.
        """
        ...

    def commit(self, last: Record) -> None:
        """
        Go on behind the last record of the last poll.

        Raises:
            LogUnavailableError: harmless; records are read again, and the inbox knows them.
        """
        ...

    def close(self) -> None: ...


class EventLog(Protocol):
    def append(self, events: Sequence[Event]) -> None:
        """
        Return once the events are durable. A fact told twice may be read twice.
        """
        ...

    def reader(
        self, group: str, topics: Collection[str], *, without: Collection[str] = ()
    ) -> Reader:
        """
        Return a reader that may leave out events of the kinds ``without``, but for the last of a
        poll: going on behind it goes by them all.
        """
        ...
