"""How far each consumer group is behind, as the broker reports it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import KafkaError

from renewal.eventlog.kafka.client import Client, collect, unavailable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from renewal.eventlog.kafka.client import Connection


class Backlog:
    """The records on the broker that have not been dealt with."""

    def __init__(
        self, connection: Connection, *, patience: timedelta = timedelta(seconds=10)
    ) -> None:
        waits = int(patience.total_seconds() * 1000)
        self._settings = {**connection.settings, "bootstrap_timeout_ms": waits}
        self._prefix = connection.prefix
        self._client: Client | None = None
        self._places: dict[str, Sequence[TopicPartition]] = {}  # of each topic

    def of(self, groups: Mapping[str, Collection[str]]) -> Mapping[str, int]:
        """
        For each group, how many records of its topics are behind its committed offsets.

        Raises:
            LogUnavailableError: also for a topic that does not exist.
        """
        try:
            if self._client is None:
                self._client = Client(KafkaAdminClient, **self._settings)
            return self._counted(self._client.does, groups)
        except KafkaError as error:
            self.close()
            collect()
            raise unavailable(error) from error

    def _counted(
        self, admin: KafkaAdminClient, groups: Mapping[str, Collection[str]]
    ) -> Mapping[str, int]:
        wanted = {self._prefix + topic for topics in groups.values() for topic in topics}
        places = self._places_of(admin, wanted)
        known = {group: f"{self._prefix}xuqi.{group}" for group in groups}
        # The commits first: what is told meanwhile counts as a backlog, never as done.
        committed = admin.list_group_offsets(list(known.values()))
        ends = admin.list_partition_offsets(dict.fromkeys(places, OffsetSpec.LATEST))
        behind: dict[str, dict[TopicPartition, int]] = {}
        for group, topics in groups.items():
            mine, dealt_with = {self._prefix + topic for topic in topics}, committed[known[group]]
            at = {
                partition: dealt_with[partition].offset if partition in dealt_with else 0
                for partition in places
                if partition.topic in mine
            }
            behind[group] = {
                partition: at[partition]
                for partition in at
                if at[partition] < ends[partition].offset
            }
        # What was deleted after its time is nobody's backlog.
        late = {partition for it in behind.values() for partition in it}
        starts = admin.list_partition_offsets(dict.fromkeys(late, OffsetSpec.EARLIEST))
        return {
            group: sum(ends[one].offset - max(at, starts[one].offset) for one, at in it.items())
            for group, it in behind.items()
        }

    def _places_of(
        self, admin: KafkaAdminClient, topics: Collection[str]
    ) -> Sequence[TopicPartition]:
        if not self._places.keys() >= set(topics):
            for topic in admin.describe_topics(sorted(topics)):
                self._places[topic["name"]] = [
                    TopicPartition(topic["name"], one["partition_index"])
                    for one in topic["partitions"]
                ]
        return [partition for topic in topics for partition in self._places[topic]]

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()
