"""The tables, by subject."""

from schema.tables import append_only, books, log, people, renewals
from schema.tables.types import BigKey, UtcDateTime, metadata

__all__ = ["BigKey", "UtcDateTime", "append_only", "books", "log", "metadata", "people", "renewals"]
