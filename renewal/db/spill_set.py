"""A set on disk, for what a long run has seen."""

from __future__ import annotations

import json
import os
import sqlite3
from typing import TYPE_CHECKING, Self

from renewal.db.identity_map import pages

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from types import TracebackType


class SpillSet:
    """
    A private, nameless file that ends with the run.

    It holds digests under a key that only the run knows, so that nobody can read from it who was in
    the run. They have 64 bits: among three million, two collide once in four million runs.
    """

    def __init__(self) -> None:
        self._key = os.urandom(16).hex()
        self._file = sqlite3.connect("", isolation_level=None)  # "": temporary, on disk
        for statement in (
            "PRAGMA journal_mode=OFF",
            "PRAGMA synchronous=OFF",
            "PRAGMA cache_size=-16384",
            "CREATE TABLE seen (key INTEGER PRIMARY KEY, what BLOB NOT NULL)",
        ):
            self._file.execute(statement)

    def digest(self, *parts: object) -> int:
        """A 64-bit number that stands for these values in this run."""
        # SipHash under the process's own key: ten times faster here than a keyed hash of hashlib,
        # and nothing of it leaves the run.
        return hash(f"{self._key}{parts!r}")

    def find(self, keys: Collection[int]) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        for page in pages(keys):
            found.update(
                self._file.execute(
                    "SELECT key, what FROM seen WHERE key IN (SELECT value FROM json_each(?))",
                    (json.dumps(page),),
                )
            )
        return found

    def keep(self, seen: Mapping[int, bytes]) -> None:
        self._file.execute("BEGIN")
        self._file.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?)", list(seen.items()))
        self._file.execute("COMMIT")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
