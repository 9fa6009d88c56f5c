"""The log on Apache Kafka, with kafka-python."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from renewal.errors import XuqiError
from renewal.eventlog.envelope import Unpacked, headers, packed
from renewal.eventlog.port import LogUnavailableError, Record

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from schema.events import Event
    from schema.topics import Declared

SEND = timedelta(seconds=30)
ASK = timedelta(seconds=10)
COMMIT = timedelta(seconds=5)
#: A partition that has more and gives nothing for so long is stuck: leave and join again.
STUCK_AFTER = timedelta(seconds=30)

#: Never idempotent: that producer dies for good once a batch that was sent has expired, and our
#: inbox removes the doubles anyway. One request in flight keeps the order of a key.
PRODUCER: Mapping[str, Any] = {
    "acks": "all",
    "enable_idempotence": False,
    "max_in_flight_requests_per_connection": 1,
    "linger_ms": 5,
    "batch_size": 262_144,
    "compression_type": "lz4",
    "request_timeout_ms": 10_000,
    "delivery_timeout_ms": 30_000,
    "max_block_ms": 5_000,
    "bootstrap_timeout_ms": 10_000,
    "allow_auto_create_topics": False,
}
CONSUMER: Mapping[str, Any] = {
    "enable_auto_commit": False,
    "auto_offset_reset": "earliest",
    "max_poll_interval_ms": 300_000,
    "session_timeout_ms": 45_000,
    "heartbeat_interval_ms": 3_000,
    "bootstrap_timeout_ms": 10_000,
    "allow_auto_create_topics": False,
    # No deserializer: poison must reach our own handler.
}


class TopicsError(XuqiError):
    """
    The broker's topics are not as they are declared; the text names each.
    """


@dataclass(frozen=True, kw_only=True)
class Connection:
    """
    How the brokers are reached; ``security`` are kafka-python's own TLS and SASL settings.
    """

    servers: tuple[str, ...]
    security: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def settings(self) -> dict[str, Any]:
        return {"bootstrap_servers": list(self.servers), **self.security}


class Publisher:
    """
    Sends records and returns only when each of them is acknowledged.

    A send that fails is unsure, not undone: it may have been written all the same.
    """

    def __init__(self, connection: Connection, **settings: object) -> None:
        self._settings = {**PRODUCER, **connection.settings, **settings}
        self._producer: KafkaProducer | None = None
        self._lock = threading.Lock()

    def send(self, records: Iterable[tuple[str, bytes, bytes, list[tuple[str, bytes]]]]) -> None:
        """
        Send (topic, key, value, headers) in this order.

        Raises:
            LogUnavailableError: one of them at least is not known to be written.
        """
        with self._lock:
            try:
                producer = self._open()
                sent = [
                    producer.send(topic, key=key, value=value, headers=told)
                    for topic, key, value, told in records
                ]
                # flush() returns silently when a batch has failed: only the futures tell.
                producer.flush(timeout=SEND.total_seconds())
                for future in sent:
                    future.get(timeout=SEND.total_seconds())
            except KafkaError as error:
                self._drop()
                raise LogUnavailableError(f"Kafka: {type(error).__name__}") from error

    def _open(self) -> KafkaProducer:
        if self._producer is None:
            self._producer = KafkaProducer(**self._settings)
        return self._producer

    def _drop(self) -> None:
        """
        After an error only a new producer is trusted; at a silent broker the old one burns a core.
        """
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                producer.close(timeout=1)
            except KafkaError:
                return  # its batches are stuck, and nobody waits for them any more

    def close(self) -> None:
        with self._lock:
            self._drop()


class KafkaLog:
    """
    What the store's outbox says comes here through the relay; a station tells it directly.
    """

    def __init__(self, connection: Connection, *, member: str | None = None) -> None:
        self._connection = connection
        self._member = member
        self._publisher = Publisher(connection, linger_ms=0)

    def append(self, events: Sequence[Event]) -> None:
        now = datetime.now(UTC)
        self._publisher.send((event.place, *packed(event, now)) for event in events)

    def publish(self, records: Sequence[Record]) -> None:
        """
        Put what stands in the outbox on its topics.

        Raises:
            LogUnavailableError: send all of them again; the inbox knows those that were written.
        """
        self._publisher.send(
            (
                record.topic,
                record.key.encode(),
                record.body,
                headers(kind=record.kind, identity=record.identity, key=record.key, at=record.at),
            )
            for record in records
        )

    def reader(self, group: str, topics: Collection[str]) -> KafkaReader:
        return KafkaReader(self._connection, group, topics, member=self._member)

    def close(self) -> None:
        self._publisher.close()


class KafkaReader:
    """
    One member of a consumer group.
    """

    def __init__(
        self,
        connection: Connection,
        group: str,
        topics: Collection[str],
        *,
        member: str | None,
        **settings: object,
    ) -> None:
        self._settings = {**CONSUMER, **connection.settings, "group_id": f"xuqi.{group}"}
        if member is not None:
            self._settings["group_instance_id"] = f"{member}.{group}"
        self._settings |= settings
        self._topics = sorted(topics)
        self._consumer: KafkaConsumer | None = None
        self._given: dict[TopicPartition, int] = {}  # the first of those not yet committed
        self._behind: dict[TopicPartition, int] = {}  # where the last poll ended
        self._quiet_since = time.monotonic()

    def poll(self, at_most: int, wait: timedelta) -> Sequence[Record]:
        try:
            consumer = self._open()
            self._give_again(consumer)
            found = consumer.poll(timeout_ms=int(wait.total_seconds() * 1000), max_records=at_most)
            if not found:
                self._watch(consumer)
        except KafkaError as error:
            self._leave()
            raise LogUnavailableError(f"Kafka: {type(error).__name__}") from error
        if found:
            self._quiet_since = time.monotonic()
        for place, records in found.items():
            self._given[place] = records[0].offset
            self._behind[place] = records[-1].offset + 1
        return [_record(one) for records in found.values() for one in records]

    def _open(self) -> KafkaConsumer:
        if self._consumer is None:
            self._consumer = KafkaConsumer(*self._topics, **self._settings)
            self._quiet_since = time.monotonic()
        return self._consumer

    def _give_again(self, consumer: KafkaConsumer) -> None:
        """
        What was polled and not committed is given again, as far as it is still ours.
        """
        assigned = consumer.assignment()
        for place, offset in self._given.items():
            if place in assigned:
                consumer.seek(place, offset)
        self._given, self._behind = {}, {}

    def _watch(self, consumer: KafkaConsumer) -> None:
        if time.monotonic() - self._quiet_since < STUCK_AFTER.total_seconds():
            return
        self._quiet_since = time.monotonic()
        ours = list(consumer.assignment())
        ends = consumer.end_offsets(ours) if ours else {}
        if any(consumer.position(place) < end for place, end in ends.items()):
            self._leave()

    def settle(self, last: Record, work: object) -> None:
        """
        Nothing: Kafka keeps its offsets itself.
        """

    def commit(self, last: Record) -> None:
        del last  # all that the last poll gave is dealt with
        behind, self._given, self._behind = self._behind, {}, {}
        if self._consumer is None or not behind:
            return
        # Kafka commits the next offset to read, not the last one read.
        offsets = {place: OffsetAndMetadata(offset, "", -1) for place, offset in behind.items()}
        try:
            self._consumer.commit(offsets, timeout_ms=int(COMMIT.total_seconds() * 1000))
        except KafkaError as error:
            raise LogUnavailableError(f"Kafka: {type(error).__name__}") from error

    def _leave(self) -> None:
        consumer, self._consumer = self._consumer, None
        self._given, self._behind = {}, {}
        if consumer is not None:
            try:
                consumer.close(autocommit=False, timeout_ms=2_000)
            except KafkaError:
                return  # the group notices when its heart beats no more

    def close(self) -> None:
        self._leave()


def _record(one: Any) -> Record:  # noqa: ANN401 - kafka-python has no types
    place = f"{one.topic}:{one.partition}:{one.offset}"
    told = Unpacked(one.headers or (), key=one.key, place=place)
    return Record(
        position=one.offset,
        topic=one.topic,
        key=told.key,
        kind=told.kind,
        identity=told.identity,
        at=told.at,
        body=one.value or b"",
    )


class Topics:
    """
    The broker's topics, held against those that are declared.
    """

    def __init__(self, connection: Connection, *, replication: int = 1) -> None:
        self._connection = connection
        self._replication = replication

    def missing(self, declared: Sequence[Declared]) -> list[str]:
        """
        What would have to be done, in words: nothing when all is as declared.

        Raises:
            LogUnavailableError
        """
        with _Admin(self._connection) as admin:
            there = {
                topic["name"]: topic for topic in admin.describe_topics(_known(admin, declared))
            }
        found = []
        for one in declared:
            if one.name not in there:
                found.append(f"{one.name}: make it, with {one.partitions} partitions")
            elif len(there[one.name]["partitions"]) != one.partitions:
                count = len(there[one.name]["partitions"])
                found.append(f"{one.name}: has {count} partitions instead of {one.partitions}")
        return found

    def apply(self, declared: Sequence[Declared]) -> list[str]:
        """
        Make what is missing; return the names. Partitions of what is there are never changed:
        a key would move to another one, and lose its order.
        """
        with _Admin(self._connection) as admin:
            there = set(admin.list_topics())
            new = [one for one in declared if one.name not in there]
            if new:
                admin.create_topics([self._new(one) for one in new], timeout_ms=10_000)
        return [one.name for one in new]

    def check(self, declared: Sequence[Declared]) -> None:
        """
        Raises:
            TopicsError
        """
        missing = self.missing(declared)
        if missing:
            raise TopicsError(f"{'; '.join(missing)}: run `xuqi topics apply`")

    def _new(self, one: Declared) -> NewTopic:
        configs = {
            "retention.ms": str(int(one.retention.total_seconds() * 1000)),
            "cleanup.policy": "delete",
            "min.insync.replicas": str(max(1, self._replication - 1)),
        }
        return NewTopic(
            name=one.name,
            num_partitions=one.partitions,
            replication_factor=self._replication,
            topic_configs=configs,
        )


def _known(admin: KafkaAdminClient, declared: Sequence[Declared]) -> list[str]:
    there = set(admin.list_topics())
    return [one.name for one in declared if one.name in there]


class _Admin:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __enter__(self) -> KafkaAdminClient:
        try:
            self._admin = KafkaAdminClient(**self._connection.settings, bootstrap_timeout_ms=10_000)
        except KafkaError as error:
            raise LogUnavailableError(f"Kafka: {type(error).__name__}") from error
        return self._admin

    def __exit__(self, *_: object) -> None:
        self._admin.close()
