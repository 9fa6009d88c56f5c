"""The event log on Apache Kafka; the only package that imports kafka-python."""

from renewal.eventlog.kafka.backlog import Backlog
from renewal.eventlog.kafka.client import Connection
from renewal.eventlog.kafka.log import KafkaLog
from renewal.eventlog.kafka.publisher import PRODUCER, Publisher
from renewal.eventlog.kafka.reader import CONSUMER, KafkaReader
from renewal.eventlog.kafka.rights import grant
from renewal.eventlog.kafka.topics import Topics, TopicsError

__all__ = [
    "CONSUMER",
    "PRODUCER",
    "Backlog",
    "Connection",
    "KafkaLog",
    "KafkaReader",
    "Publisher",
    "Topics",
    "TopicsError",
    "grant",
]
