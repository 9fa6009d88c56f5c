"""The Kafka event log of one process: its outlet and its readers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal.clock import SystemClock
from renewal.eventlog.envelope import packed
from renewal.eventlog.kafka.publisher import Outlet, Publisher
from renewal.eventlog.kafka.reader import KafkaReader

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from renewal.clock import Clock
    from renewal.eventlog.kafka.client import Connection
    from schema.events import Event


class KafkaLog:
    """The outbox arrives here through a relay; a station publishes directly."""

    def __init__(
        self, connection: Connection, *, clock: Clock | None = None, member: str | None = None
    ) -> None:
        self._connection = connection
        self._clock = clock or SystemClock()
        self._member = member
        self._publisher = Publisher(connection)

    def append(self, events: Sequence[Event]) -> None:
        now = self._clock.now()
        self._publisher.send((event.topic_name, *packed(event, now)) for event in events)

    def outlet(self, **settings: object) -> Outlet:
        return Outlet(self._connection, **settings)

    def reader(
        self,
        group: str,
        topics: Collection[str],
        *,
        exclude: Collection[str] = (),
        **settings: object,
    ) -> KafkaReader:
        member = self._member
        return KafkaReader(
            self._connection, group, topics, member=member, without=exclude, **settings
        )

    def close(self) -> None:
        self._publisher.close()
