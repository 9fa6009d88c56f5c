"""Publishes records and waits for the acknowledgement of each."""

from __future__ import annotations

import threading
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from kafka import KafkaProducer
from kafka.errors import KafkaError
from kafka.partitioner import DefaultPartitioner, murmur2

from renewal.eventlog.envelope import headers
from renewal.eventlog.kafka.client import Client, collect, unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from renewal.eventlog.kafka.client import Connection
    from renewal.eventlog.port import Record

SEND = timedelta(seconds=30)

_hash = lru_cache(65_536)(murmur2)


class _ByKey(DefaultPartitioner):  # type: ignore[misc]  # the client has no types
    """Kafka's own partitioner, computed once for all events of a key."""

    def partition(self, topic: str, key: Any, serialized_key: bytes | None, *others: Any) -> int:  # noqa: ANN401 - untyped
        *_, cluster = others
        if serialized_key is None:
            number: int = super().partition(topic, key, serialized_key, *others)
        else:
            number = (_hash(serialized_key) & 0x7FFFFFFF) % len(cluster.partitions_for_topic(topic))
        return number


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


class Publisher:
    """
    Sends records and returns only when each of them is acknowledged.

    A send that fails is unsure, not undone: it may have been written.
    """

    def __init__(self, connection: Connection, **settings: object) -> None:
        self._settings = {**PRODUCER, **connection.settings, **settings}
        self._prefix = connection.prefix
        self._client: Client | None = None
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
                    producer.send(self._prefix + topic, key=key, value=value, headers=facts)
                    for topic, key, value, facts in records
                ]
                # flush() returns silently when a batch has failed: only the futures tell.
                producer.flush(timeout=SEND.total_seconds())
                for future in sent:
                    future.get(timeout=SEND.total_seconds())
            except KafkaError as error:
                self._drop()
                collect()
                raise unavailable(error) from error

    def _open(self) -> KafkaProducer:
        if self._client is None:
            self._client = Client(KafkaProducer, **self._settings)
        return self._client.does

    def _drop(self) -> None:
        """
        After an error only a new producer is trusted; with a silent broker the old one burns a
        core.
        """
        client, self._client = self._client, None
        if client is not None:
            client.close(timeout=1)

    def close(self) -> None:
        with self._lock:
            self._drop()


class Outlet:
    """Where a relay publishes the outbox."""

    def __init__(self, connection: Connection, **settings: object) -> None:
        self._publisher = Publisher(connection, **settings)

    def publish(self, records: Sequence[Record]) -> None:
        """
        Publish the events in this order.

        Raises:
            LogUnavailableError: publish all of them again; the inbox knows those that were written.
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
