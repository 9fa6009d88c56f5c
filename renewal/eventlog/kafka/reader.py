"""A member of a consumer group that never blocks for long."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from renewal.eventlog.envelope import Unpacked, kind_in
from renewal.eventlog.kafka.client import Client, admin_of, collect, unavailable
from renewal.eventlog.port import LogUnavailableError, Record

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from renewal.eventlog.kafka.client import Connection

log = logging.getLogger(__name__)

ASK = timedelta(seconds=10)
COMMIT = timedelta(seconds=5)
#: Who asks without waiting would never be given anything: joining a group takes its time, and so
#: does an answer of the broker.
JOIN, ARRIVE = timedelta(seconds=2), timedelta(milliseconds=50)
#: A partition that has more and gives nothing for so long is stuck: leave and join again.
STUCK_AFTER = timedelta(seconds=30)
#: Who has just come looks sooner whether a partition is assigned to nobody: a member that is killed
#: again and again would never look.
LOOKS_FIRST = timedelta(seconds=5)

CONSUMER: Mapping[str, Any] = {
    "enable_auto_commit": False,
    "auto_offset_reset": "earliest",
    "max_poll_interval_ms": 300_000,
    "session_timeout_ms": 45_000,
    "heartbeat_interval_ms": 3_000,
    "bootstrap_timeout_ms": 10_000,
    "reconnect_backoff_max_ms": 1_000,  # else a broker that is back after a minute waits for 30 s
    "metadata_max_age_ms": 30_000,  # a topic that was made anew is noticed so late at most
    "allow_auto_create_topics": False,
    # No deserializer: poison must reach our own handler.
}


class KafkaReader:
    """One member of a consumer group."""

    def __init__(
        self,
        connection: Connection,
        group: str,
        topics: Collection[str],
        *,
        member: str | None,
        without: Collection[str] = (),
        **settings: object,
    ) -> None:
        self._connection = connection
        group_id = f"{connection.prefix}xuqi.{group}"
        self._settings = {**CONSUMER, **connection.settings, "group_id": group_id}
        if member is not None:
            self._settings["group_instance_id"] = f"{member}.{group}"
        self._settings |= settings
        self._group = group
        self._prefix = connection.prefix
        self._topics = [connection.prefix + topic for topic in sorted(topics)]
        self._without = frozenset(without)
        self._client: Client | None = None
        self._given: dict[TopicPartition, int] = {}  # the first of those not yet committed
        self._behind: dict[TopicPartition, int] = {}  # where the last poll ended
        self._watch = _Watch()
        self._claims_at = time.monotonic()
        self._rejoins = False
        self._ids: dict[str, object] = {}  # of each topic: one that is made anew has another

    def poll(self, at_most: int, wait: timedelta) -> Sequence[Record]:
        if self._rejoins:
            self._leave()
        try:
            client = self._open()
            consumer = client.does
            self._give_again(consumer)
            self._claim(consumer)
            least = ARRIVE if consumer.assignment() else JOIN
            found = consumer.poll(
                timeout_ms=int(max(wait, least).total_seconds() * 1000), max_records=at_most
            )
            anew = self._made_anew(client)
            found = {
                partition: found[partition] for partition in found if partition.topic not in anew
            }
            stuck = self._watch.stuck(consumer, full=_count(found) >= at_most)
        except KafkaError as error:
            self._leave()
            collect()
            raise unavailable(error) from error
        for partition, records in found.items():
            self._given[partition] = records[0].offset
            self._behind[partition] = records[-1].offset + 1
        if stuck:
            log.warning("a partition is stuck", extra={"consumer": self._group, "places": stuck})
            self._rejoins = True  # not before these records are dealt with
        return [_record(one, self._prefix) for one in self._wanted(found)]

    def _wanted(self, found: Mapping[TopicPartition, Sequence[Any]]) -> list[Any]:
        """
        The records that are not excluded, and always the last one: without any, nothing would be
        committed.
        """
        every = [one for records in found.values() for one in records]
        wanted = [one for one in every[:-1] if kind_in(one.headers) not in self._without]
        return wanted + every[-1:]

    def _open(self) -> Client:
        if self._client is None:
            self._client = Client(KafkaConsumer, *self._topics, **self._settings)
            self._watch = _Watch()
            self._claims_at = time.monotonic() + min(LOOKS_FIRST, STUCK_AFTER).total_seconds()
            for topic in self._topics:  # a leader that knows of no partition gives none to anybody
                self._client.does.partitions_for_topic(topic)
        return self._client

    def _made_anew(self, client: Client) -> set[str]:
        """
        Name the topics that were deleted and created again, and start them from zero: an old offset
        would skip records of the new topic.
        """
        ids = {topic: client.topic_id(topic) for topic in self._topics}
        known = {topic: self._ids.setdefault(topic, one) for topic, one in ids.items() if one}
        anew = {topic for topic, one in known.items() if one != ids[topic]}
        places = [partition for partition in client.does.assignment() if partition.topic in anew]
        if places:
            begun = {partition.topic for partition in places}
            log.warning("a topic was made anew", extra={"consumer": self._group, "topics": begun})
            client.does.seek_to_beginning(*places)
            self._ids |= {topic: ids[topic] for topic in begun}
        return anew

    def _claim(self, consumer: KafkaConsumer) -> None:
        """
        Trigger a rebalance if some partitions are assigned to nobody.

        Only the leader's own memory would tell, and a static leader that was killed and is back has
        none: it gets its old partitions without a rebalance, and is not told that it leads
        (KIP-814, which kafka-python does not implement).
        """
        now = time.monotonic()
        if now < self._claims_at:
            return
        self._claims_at = now + STUCK_AFTER.total_seconds()
        places = {
            TopicPartition(topic, one)
            for topic in self._topics
            for one in consumer.partitions_for_topic(topic)
        }
        if places <= consumer.assignment():
            return
        if nobodys := places - self._held(places):
            named = sorted(f"{partition.topic}:{partition.partition}" for partition in nobodys)
            log.warning("nobody has it", extra={"consumer": self._group, "places": named})
            # KIP-568's enforceRebalance, which kafka-python has not made public. From the leader it
            # is a rebalance; from any other member the broker answers with what it has.
            consumer._coordinator.request_rejoin()  # noqa: SLF001 - nothing public does it

    def _held(self, places: set[TopicPartition]) -> set[TopicPartition]:
        """
        The partitions assigned to the group's members; all of them during a rebalance or if
        unknown.
        """
        group_id = self._settings["group_id"]
        try:
            with admin_of(self._connection) as admin:
                group = admin.describe_groups([group_id])[group_id]
        except LogUnavailableError:
            return places  # the poll that follows says so if it lasts
        if group["group_state"] != "Stable":
            return places
        return {
            TopicPartition(has["topic"], one)
            for member in group["members"]
            if member["member_assignment"]
            for has in member["member_assignment"]["assigned_partitions"]
            for one in has["partitions"]
        }

    def _give_again(self, consumer: KafkaConsumer) -> None:
        """Rewind to what was polled and not committed, as far as it is still ours."""
        assigned = consumer.assignment()
        for partition, offset in self._given.items():
            if partition in assigned:
                consumer.seek(partition, offset)
        self._given, self._behind = {}, {}

    def settle(self, last: Record, work: object) -> None:
        """Nothing: Kafka keeps its offsets itself."""

    def commit(self, last: Record) -> None:
        del last  # all that the last poll gave is dealt with
        behind, self._given, self._behind = self._behind, {}, {}
        if self._client is None or not behind:
            return
        # Kafka commits the next offset to read, not the last one read.
        offsets = {
            partition: OffsetAndMetadata(offset, "", -1) for partition, offset in behind.items()
        }
        try:
            self._client.does.commit(offsets, timeout_ms=int(COMMIT.total_seconds() * 1000))
        except KafkaError as error:
            raise unavailable(error) from error

    def _leave(self) -> None:
        client, self._client = self._client, None
        self._given, self._behind, self._rejoins = {}, {}, False
        if client is not None:
            client.close(autocommit=False, timeout_ms=2_000)

    def close(self) -> None:
        self._leave()


class _Watch:
    """
    Detects a partition that has more records and delivers none.

    Full polls do not count against it: other partitions were before it in the queue.
    """

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._seen: dict[TopicPartition, tuple[int, int]] = {}  # position, end

    def stuck(self, consumer: KafkaConsumer, *, full: bool) -> list[str]:
        """
        Name the partitions that have not moved between two checks and had more records at both.
        """
        now = time.monotonic()
        if full:
            self._since, self._seen = now, {}
        if now - self._since < STUCK_AFTER.total_seconds():
            return []
        before, self._since, self._seen = self._seen, now, _places(consumer)
        return [
            f"{partition.topic}:{partition.partition}"
            for partition, (position, _) in self._seen.items()
            if partition in before
            and position == before[partition][0]
            and position < before[partition][1]
        ]


def _places(consumer: KafkaConsumer) -> dict[TopicPartition, tuple[int, int]]:
    ours = list(consumer.assignment())
    within = int(ASK.total_seconds() * 1000)
    ends = consumer.end_offsets(ours, timeout_ms=within) if ours else {}
    at = {partition: consumer.position(partition, timeout_ms=within) for partition in ends}
    return {
        partition: (at[partition], end)
        for partition, end in ends.items()
        if at[partition] is not None
    }


def _count(found: Mapping[TopicPartition, Sequence[object]]) -> int:
    return sum(map(len, found.values()))


def _record(one: Any, prefix: str) -> Record:  # noqa: ANN401 - kafka-python has no types
    topic = one.topic.removeprefix(prefix)
    position = f"{topic}:{one.partition}:{one.offset}"
    unpacked = Unpacked(one.headers or (), key=one.key, position=position)
    return Record(
        position=one.offset,
        topic=topic,
        key=unpacked.key,
        kind=unpacked.kind,
        identity=unpacked.identity,
        at=unpacked.at,
        body=one.value or b"",
        traceparent=unpacked.traceparent,
    )
