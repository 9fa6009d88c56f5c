"""The tables, by subject."""

from schema.tables import (
    append_only,
    books,
    carriers,
    log,
    people,
    reconciling,
    renewals,
    runs,
    staff,
    stations,
    tasks,
    tokens,
    web,
)
from schema.tables.types import BigKey, UtcDateTime, metadata

__all__ = [
    "BigKey",
    "UtcDateTime",
    "append_only",
    "books",
    "carriers",
    "log",
    "metadata",
    "people",
    "reconciling",
    "renewals",
    "runs",
    "staff",
    "stations",
    "tasks",
    "tokens",
    "web",
]
