"""The log on Apache Kafka, with kafka-python."""

from __future__ import annotations

import gc
import logging
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import KafkaError, NoError, TopicAlreadyExistsError
from kafka.partitioner import DefaultPartitioner, murmur2
from kafka.structs import OffsetAndMetadata

from renewal.clock import SystemClock
from renewal.errors import XuqiError
from renewal.eventlog.envelope import Unpacked, headers, packed
from renewal.eventlog.port import LogUnavailableError, Record

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from renewal.clock import Clock
    from schema.events import Event
    from schema.topics import Declared

log = logging.getLogger(__name__)

SEND = timedelta(seconds=30)
ASK = timedelta(seconds=10)
COMMIT = timedelta(seconds=5)
#: Who asks without waiting would never be given anything: joining a group takes its time, and so
#: does an answer of the broker.
JOIN, ARRIVE = timedelta(seconds=2), timedelta(milliseconds=50)
#: A partition that has more and gives nothing for so long is stuck: leave and join again.
STUCK_AFTER = timedelta(seconds=30)

_hash = lru_cache(65_536)(murmur2)


class _ByKey(DefaultPartitioner):  # type: ignore[misc]  # the client has no types
    """
    Where Kafka's own partitioner puts a key, worked out once for all events of it.
    """

    def partition(self, topic: str, key: Any, serialized_key: bytes | None, *others: Any) -> int:  # noqa: ANN401 - untyped
        *_, cluster = others
        if serialized_key is None:
            place: int = super().partition(topic, key, serialized_key, *others)
        else:
            place = (_hash(serialized_key) & 0x7FFFFFFF) % len(cluster.partitions_for_topic(topic))
        return place


#: Never idempotent: that producer dies for good once a batch that was sent has expired, and our
#: inbox removes the doubles anyway. One request in flight keeps the order of a key.
PRODUCER: Mapping[str, Any] = {
    "acks": "all",
    "enable_idempotence": False,
    "max_in_flight_requests_per_connection": 1,
    "linger_ms": 50,  # batches fill while a page is told; flush() ends the wait, also for one code
    "batch_size": 262_144,
    "compression_type": "lz4",
    "request_timeout_ms": 10_000,
    "delivery_timeout_ms": 30_000,
    "max_block_ms": 5_000,
    "bootstrap_timeout_ms": 10_000,
    "allow_auto_create_topics": False,
    "partitioner": _ByKey(),
}
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


class TopicsError(XuqiError):
    """
    The broker's topics are not as they are declared; the text names each.
    """


@dataclass(frozen=True, kw_only=True)
class Connection:
    """
    How the brokers are reached; ``security`` are kafka-python's own TLS and SASL settings.

    ``prefix`` stands before every topic and group, where several installations share a cluster.
    """

    servers: tuple[str, ...]
    security: Mapping[str, Any] = field(default_factory=dict, repr=False)
    prefix: str = ""

    @property
    def settings(self) -> dict[str, Any]:
        return {"bootstrap_servers": list(self.servers), **self.security}


#: What is said against us while we knock, and which setting of the log's URL to look at; what
#: tells most comes first.
BLAMES = (
    ("SaslAuthenticationFailed", "sasl_plain_username and the secret kafka are not the broker's"),
    ("CERTIFICATE_VERIFY_FAILED", "ssl_cafile has not signed this broker's certificate"),
    ("BAD_CERTIFICATE", "ssl_certfile is no certificate that the broker takes"),
    ("ALERT_CERTIFICATE", "ssl_certfile is no certificate that the broker takes"),
    ("ALERT_UNKNOWN_CA", "ssl_certfile is no certificate that the broker takes"),
    ("WRONG_VERSION_NUMBER", "security_protocol says TLS, and the broker speaks none there"),
    ("InvalidReceiveError", "security_protocol says no TLS, and the broker wants it there"),
    # A client that is slow to read sees no more of a refusal.
    (
        "socket disconnected",
        "the broker hangs up: look at security_protocol, sasl_plain_username and the secret kafka",
    ),
)


class _RefusedError(KafkaError):  # type: ignore[misc]  # the client has no types
    """
    A broker is there, and does not let us in; the text names the setting.
    """


def _unavailable(error: KafkaError) -> LogUnavailableError:
    """
    Our error; of a foreign one the kind alone, for its text might hold anything.
    """
    why = error.args[0] if isinstance(error, _RefusedError) else type(error).__name__
    return LogUnavailableError(f"Kafka: {why}")


class Publisher:
    """
    Sends records and returns only when each of them is acknowledged.

    A send that fails is unsure, not undone: it may have been written all the same.
    """

    def __init__(self, connection: Connection, **settings: object) -> None:
        self._settings = {**PRODUCER, **connection.settings, **settings}
        self._prefix = connection.prefix
        self._client: _Client | None = None
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
                    producer.send(self._prefix + topic, key=key, value=value, headers=told)
                    for topic, key, value, told in records
                ]
                # flush() returns silently when a batch has failed: only the futures tell.
                producer.flush(timeout=SEND.total_seconds())
                for future in sent:
                    future.get(timeout=SEND.total_seconds())
            except KafkaError as error:
                self._drop()
                _collect()
                raise _unavailable(error) from error

    def _open(self) -> KafkaProducer:
        if self._client is None:
            self._client = _Client(KafkaProducer, **self._settings)
        return self._client.does

    def _drop(self) -> None:
        """
        After an error only a new producer is trusted; at a silent broker the old one burns a core.
        """
        client, self._client = self._client, None
        if client is not None:
            client.close(timeout=1)

    def close(self) -> None:
        with self._lock:
            self._drop()


class _Client:
    """
    A client of kafka-python that leaves no thread behind: one that does not reach its broker, or
    cannot be closed in time, would try for ever, one thread more at each attempt.
    """

    def __init__(self, kind: Any, *topics: str, **settings: Any) -> None:  # noqa: ANN401 - untyped
        self._network: list[Any] = []
        self._blamed = len(BLAMES)  #: the best reason heard, by its place

        def network(**own: Any) -> Any:  # noqa: ANN401 - as above
            self._network.append(kind.DEFAULT_CONFIG["kafka_client"](**own))
            self._overhear(self._network[-1])
            return self._network[-1]

        try:
            self.does = kind(*topics, **settings, kafka_client=network)
        except KafkaError as error:
            self._cut()
            if self._blamed < len(BLAMES):
                raise _RefusedError(f"XUQI_LOG_URL: {BLAMES[self._blamed][1]}") from error
            raise

    def _overhear(self, network: Any) -> None:  # noqa: ANN401 - as above
        """
        Whatever keeps it from its broker, the client tells a time-out: the reason is its line's.
        """
        lines = network._manager  # noqa: SLF001 - nothing public knows the reason
        connect = lines.get_connection

        def connecting(*which: Any, **how: Any) -> Any:  # noqa: ANN401 - as above
            line = connect(*which, **how)
            line.init_future.add_errback(self._blame)
            return line

        lines.get_connection = connecting

    def _blame(self, reason: BaseException) -> None:
        told = f"{type(reason).__name__}: {reason}"
        heard = (place for place, (sign, _) in enumerate(BLAMES) if sign in told)
        self._blamed = min(self._blamed, next(heard, self._blamed))

    def topic_id(self, topic: str) -> object:
        """
        The broker's own name for a topic, if it is known by now.
        """
        return self._network[-1].cluster.topic_id(topic)

    def close(self, **how: Any) -> None:  # noqa: ANN401 - as above
        try:
            self.does.close(**how)
        except KafkaError:
            self._cut()  # what is stuck in it, nobody waits for any more

    def _cut(self) -> None:
        for one in self._network:
            one.close()


def _collect() -> None:
    """
    A client that does not reach its broker leaves sockets behind that nobody closes: in an outage
    of hours they would be too many.
    """
    gc.collect()


class Outlet:
    """
    Where a relay puts what stands in the outbox.
    """

    def __init__(self, connection: Connection, **settings: object) -> None:
        self._publisher = Publisher(connection, **settings)

    def publish(self, records: Sequence[Record]) -> None:
        """
        Put them on their topics, in this order.

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

    def close(self) -> None:
        self._publisher.close()


class KafkaLog:
    """
    What the store's outbox says comes here through a relay; a station tells it directly.
    """

    def __init__(
        self, connection: Connection, *, clock: Clock | None = None, member: str | None = None
    ) -> None:
        self._connection = connection
        self._clock = clock or SystemClock()
        self._member = member
        self._publisher = Publisher(connection)

    def append(self, events: Sequence[Event]) -> None:
        now = self._clock.now()
        self._publisher.send((event.place, *packed(event, now)) for event in events)

    def outlet(self, **settings: object) -> Outlet:
        return Outlet(self._connection, **settings)

    def reader(self, group: str, topics: Collection[str], **settings: object) -> KafkaReader:
        return KafkaReader(self._connection, group, topics, member=self._member, **settings)

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
        self._connection = connection
        group_id = f"{connection.prefix}xuqi.{group}"
        self._settings = {**CONSUMER, **connection.settings, "group_id": group_id}
        if member is not None:
            self._settings["group_instance_id"] = f"{member}.{group}"
        self._settings |= settings
        self._group = group
        self._prefix = connection.prefix
        self._topics = [connection.prefix + topic for topic in sorted(topics)]
        self._client: _Client | None = None
        self._given: dict[TopicPartition, int] = {}  # the first of those not yet committed
        self._behind: dict[TopicPartition, int] = {}  # where the last poll ended
        self._watch = _Watch()
        self._claimed = time.monotonic()
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
            found = {place: found[place] for place in found if place.topic not in anew}
            stuck = self._watch.stuck(consumer, full=_count(found) >= at_most)
        except KafkaError as error:
            self._leave()
            _collect()
            raise _unavailable(error) from error
        for place, records in found.items():
            self._given[place] = records[0].offset
            self._behind[place] = records[-1].offset + 1
        if stuck:
            log.warning("a partition is stuck", extra={"consumer": self._group, "places": stuck})
            self._rejoins = True  # not before these records are dealt with
        return [_record(one, self._prefix) for records in found.values() for one in records]

    def _open(self) -> _Client:
        if self._client is None:
            self._client = _Client(KafkaConsumer, *self._topics, **self._settings)
            self._watch, self._claimed = _Watch(), time.monotonic()
            for topic in self._topics:  # a leader that knows of no partition gives none to anybody
                self._client.does.partitions_for_topic(topic)
        return self._client

    def _made_anew(self, client: _Client) -> set[str]:
        """
        Name the topics that somebody has deleted and made again, and begin those: an offset of the
        old one would pass over what lies before it in the new one.
        """
        ids = {topic: client.topic_id(topic) for topic in self._topics}
        known = {topic: self._ids.setdefault(topic, one) for topic, one in ids.items() if one}
        anew = {topic for topic, one in known.items() if one != ids[topic]}
        places = [place for place in client.does.assignment() if place.topic in anew]
        if places:
            begun = {place.topic for place in places}
            log.warning("a topic was made anew", extra={"consumer": self._group, "topics": begun})
            client.does.seek_to_beginning(*places)
            self._ids |= {topic: ids[topic] for topic in begun}
        return anew

    def _claim(self, consumer: KafkaConsumer) -> None:
        """
        Let the group's partitions be given out again if some are nobody's.

        Only the leader's own memory would tell, and a static leader that was killed and is back has
        none: it gets its old partitions without a rebalance, and is not told that it leads
        (KIP-814, which kafka-python does not speak).
        """
        now = time.monotonic()
        if now - self._claimed < STUCK_AFTER.total_seconds():
            return
        self._claimed = now
        places = {
            TopicPartition(topic, one)
            for topic in self._topics
            for one in consumer.partitions_for_topic(topic)
        }
        if places <= consumer.assignment():
            return
        if nobodys := places - self._held(places):
            named = sorted(f"{place.topic}:{place.partition}" for place in nobodys)
            log.warning("nobody has it", extra={"consumer": self._group, "places": named})
            # KIP-568's enforceRebalance, which kafka-python has not made public. From the leader it
            # is a rebalance; from any other member the broker answers with what it has.
            consumer._coordinator.request_rejoin()  # noqa: SLF001 - nothing public does it

    def _held(self, places: set[TopicPartition]) -> set[TopicPartition]:
        """
        Which of them the group's members have; all, while they are being given out or nobody says.
        """
        group_id = self._settings["group_id"]
        try:
            with _admin(self._connection) as admin:
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
        """
        What was polled and not committed is given again, as far as it is still ours.
        """
        assigned = consumer.assignment()
        for place, offset in self._given.items():
            if place in assigned:
                consumer.seek(place, offset)
        self._given, self._behind = {}, {}

    def settle(self, last: Record, work: object) -> None:
        """
        Nothing: Kafka keeps its offsets itself.
        """

    def commit(self, last: Record) -> None:
        del last  # all that the last poll gave is dealt with
        behind, self._given, self._behind = self._behind, {}, {}
        if self._client is None or not behind:
            return
        # Kafka commits the next offset to read, not the last one read.
        offsets = {place: OffsetAndMetadata(offset, "", -1) for place, offset in behind.items()}
        try:
            self._client.does.commit(offsets, timeout_ms=int(COMMIT.total_seconds() * 1000))
        except KafkaError as error:
            raise _unavailable(error) from error

    def _leave(self) -> None:
        client, self._client = self._client, None
        self._given, self._behind, self._rejoins = {}, {}, False
        if client is not None:
            client.close(autocommit=False, timeout_ms=2_000)

    def close(self) -> None:
        self._leave()


class _Watch:
    """
    Sees a partition that has more and gives nothing, while there is time to give it.

    Polls that come back full are not held against it: others were before it in the queue.
    """

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._seen: dict[TopicPartition, tuple[int, int]] = {}  # position, end

    def stuck(self, consumer: KafkaConsumer, *, full: bool) -> list[str]:
        """
        Name the partitions that have not moved from one look to the next, and had more at both.
        """
        now = time.monotonic()
        if full:
            self._since, self._seen = now, {}
        if now - self._since < STUCK_AFTER.total_seconds():
            return []
        before, self._since, self._seen = self._seen, now, _places(consumer)
        return [
            f"{place.topic}:{place.partition}"
            for place, (position, _) in self._seen.items()
            if place in before and position == before[place][0] and position < before[place][1]
        ]


def _places(consumer: KafkaConsumer) -> dict[TopicPartition, tuple[int, int]]:
    ours = list(consumer.assignment())
    within = int(ASK.total_seconds() * 1000)
    ends = consumer.end_offsets(ours, timeout_ms=within) if ours else {}
    at = {place: consumer.position(place, timeout_ms=within) for place in ends}
    return {place: (at[place], end) for place, end in ends.items() if at[place] is not None}


def _count(found: Mapping[TopicPartition, Sequence[object]]) -> int:
    return sum(map(len, found.values()))


def _record(one: Any, prefix: str) -> Record:  # noqa: ANN401 - kafka-python has no types
    topic = one.topic.removeprefix(prefix)
    place = f"{topic}:{one.partition}:{one.offset}"
    told = Unpacked(one.headers or (), key=one.key, place=place)
    return Record(
        position=one.offset,
        topic=topic,
        key=told.key,
        kind=told.kind,
        identity=told.identity,
        at=told.at,
        body=one.value or b"",
        traceparent=told.traceparent,
    )


class Backlog:
    """
    What lies on the broker and has not been dealt with.
    """

    def __init__(self, connection: Connection) -> None:
        self._settings = {**connection.settings, "bootstrap_timeout_ms": 10_000}
        self._prefix = connection.prefix
        self._client: _Client | None = None
        self._places: dict[str, Sequence[TopicPartition]] = {}  # of each topic

    def of(self, groups: Mapping[str, Collection[str]]) -> Mapping[str, int]:
        """
        For each group, how many records of its topics lie behind its committed offsets.

        Raises:
            LogUnavailableError: also for a topic that is not there.
        """
        try:
            if self._client is None:
                self._client = _Client(KafkaAdminClient, **self._settings)
            return self._counted(self._client.does, groups)
        except KafkaError as error:
            self.close()
            _collect()
            raise _unavailable(error) from error

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
                place: dealt_with[place].offset if place in dealt_with else 0
                for place in places
                if place.topic in mine
            }
            behind[group] = {place: at[place] for place in at if at[place] < ends[place].offset}
        # What was deleted after its time is nobody's backlog.
        late = {place for it in behind.values() for place in it}
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
        return [place for topic in topics for place in self._places[topic]]

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()


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
        with _admin(self._connection) as admin:
            there = {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics()}
        found = []
        for one in declared:
            count = there.get(self._name(one))
            if count is None:
                found.append(f"{self._name(one)}: make it, with {one.partitions} partitions")
            elif count != one.partitions:
                found.append(
                    f"{self._name(one)}: has {count} partitions instead of {one.partitions}"
                )
        return found

    def apply(self, declared: Sequence[Declared]) -> list[str]:
        """
        Make what is missing; return the names. Partitions of what is there are never changed:
        a key would move to another one, and lose its order.

        Raises:
            TopicsError: a topic cannot be made, e.g. there are fewer brokers than replicas.
            LogUnavailableError
        """
        with _admin(self._connection) as admin:
            there = set(admin.list_topics())
            new = {
                self._name(one): self._options(one)
                for one in declared
                if self._name(one) not in there
            }
            return _made(admin, new) if new else []

    def check(self, declared: Sequence[Declared]) -> None:
        """
        Raises:
            TopicsError, LogUnavailableError
        """
        missing = self.missing(declared)
        if missing:
            raise TopicsError(f"{'; '.join(missing)}: run `xuqi topics apply`")

    def _name(self, one: Declared) -> str:
        return self._connection.prefix + one.name

    def _options(self, one: Declared) -> dict[str, Any]:
        configs = {
            "retention.ms": str(int(one.retention.total_seconds() * 1000)),
            "cleanup.policy": "delete",
            # Whatever else writes here, its codec is one that our readers have.
            "compression.type": "lz4",
            "min.insync.replicas": str(max(1, self._replication - 1)),
            # A sender's clock that is behind would have its records deleted before they are read,
            # and one that is an hour ahead would have them refused.
            "message.timestamp.type": "LogAppendTime",
        }
        return {
            "num_partitions": one.partitions,
            "replication_factor": self._replication,
            "configs": configs,
        }


def _made(admin: KafkaAdminClient, new: Mapping[str, Any]) -> list[str]:
    """
    Make them; return the names. Another process may have been first: that is no error.
    """
    answer = admin.create_topics(new, timeout_ms=10_000, raise_errors=False)["topics"]
    wrong = [
        f"{topic['name']}: {topic['error_message']}"
        for topic in answer
        if topic["error_code"] not in {NoError.errno, TopicAlreadyExistsError.errno}
    ]
    if wrong:
        raise TopicsError("; ".join(wrong))
    admin.wait_for_topics(list(new))  # each broker knows them a moment later
    return [topic["name"] for topic in answer if topic["error_code"] == NoError.errno]


@contextmanager
def _admin(connection: Connection) -> Iterator[KafkaAdminClient]:
    try:
        admin = _Client(KafkaAdminClient, **connection.settings, bootstrap_timeout_ms=10_000)
        try:
            yield admin.does
        finally:
            admin.close()
    except KafkaError as error:
        raise _unavailable(error) from error
