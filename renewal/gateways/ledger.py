"""The outside world's own record of what it did, one JSON line a deed."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from renewal.clock import Clock


class OutsideLedger:
    """
    An append-only file of JSON lines, each with ``at`` in UTC, ISO 8601 with microseconds.

    One line is one ``write`` to a file opened for appending: a killed process leaves
    a whole line or none.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._clock = clock
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def append(self, *, at: str | None = None, **deed: object) -> None:
        moment = at or self._clock.now().isoformat(timespec="microseconds")
        line = json.dumps({"at": moment, **deed}, ensure_ascii=False)
        os.write(self._file, line.encode() + b"\n")

    def close(self) -> None:
        os.close(self._file)
