"""The topics on Kafka: declared here, created by `xuqi topics apply`, checked at start."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from schema.events import Topic

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True, kw_only=True)
class Declared:
    """A topic as it must be. Events with one key lie in one partition, in their order."""

    name: str
    partitions: int
    retention: timedelta
    key: str  #: of what: certificate, customer, challenge, renewal, payment, consumer


#: Longer than any outage that is waited for; the inbox remembers longer still.
RETENTION = timedelta(days=14)
#: A code's command is worth nothing after minutes.
CODES_RETENTION = timedelta(hours=1)
PARTITIONS = 12

_KEYS = {
    Topic.CERTIFICATES: "certificate",
    Topic.REMINDERS: "customer",
    Topic.CODES: "challenge",
    Topic.RENEWALS: "renewal",
    Topic.PAYMENTS: "payment",
    Topic.TOKENS: "renewal",
    Topic.DEAD_LETTERS: "consumer",
}


def declared(branches: Collection[str]) -> tuple[Declared, ...]:
    """Every topic of an installation with these branches; each station has one of its own."""
    shared = [
        Declared(
            name=topic.value,
            partitions=PARTITIONS,
            retention=CODES_RETENTION if topic is Topic.CODES else RETENTION,
            key=key,
        )
        for topic, key in _KEYS.items()
    ]
    stations = [
        Declared(
            name=f"{Topic.STATIONS.value}.{branch}",
            partitions=1,
            retention=RETENTION,
            key="renewal",
        )
        for branch in sorted(branches)
    ]
    return (*shared, *stations)
