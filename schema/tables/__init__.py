"""The tables, by subject."""

from schema.tables import books, log, people, renewals
from schema.tables.types import BigKey, UtcDateTime, metadata

__all__ = ["BigKey", "UtcDateTime", "books", "log", "metadata", "people", "renewals"]
