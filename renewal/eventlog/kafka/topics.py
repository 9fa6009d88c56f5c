"""Creates the declared topics on the broker and checks them against the declaration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kafka.errors import NoError, TopicAlreadyExistsError

from renewal.errors import XuqiError
from renewal.eventlog.kafka.client import admin_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kafka import KafkaAdminClient

    from renewal.eventlog.kafka.client import Connection
    from schema.topics import Declared


class TopicsError(XuqiError):
    """The broker's topics differ from their declaration; the text names each."""


class Topics:
    """The broker's topics, compared with the declared ones."""

    def __init__(self, connection: Connection, *, replication: int = 1) -> None:
        self._connection = connection
        self._replication = replication

    def missing(self, declared: Sequence[Declared]) -> list[str]:
        """
        What would have to be changed, in words; nothing if all is as declared.

        Raises:
            LogUnavailableError
        """
        with admin_of(self._connection) as admin:
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
        Create missing topics; return the names. Existing partitions are never changed, because a
        key would move to another partition and lose its order.

        Raises:
            TopicsError: a topic cannot be created, e.g. there are fewer brokers than replicas.
            LogUnavailableError
        """
        with admin_of(self._connection) as admin:
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
    """Create them; return the names. One that another process created first is no error."""
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
