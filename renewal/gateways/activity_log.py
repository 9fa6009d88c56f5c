"""The activity log of an outside system: one JSON line for each of its acts."""

from __future__ import annotations

import errno
import json
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from renewal.clock import Clock


class ActivityLog:
    """
    An append-only file of JSON lines, each with ``at`` in UTC, ISO 8601 with microseconds.

    One line is one ``write`` to a file opened for appending: a killed process leaves
    a whole line or none, and a full disk none.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._clock = clock
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def append(self, *, at: str | None = None, **deed: object) -> None:
        """
        Raises:
            OSError: the line is not there.
        """
        moment = at or self._clock.now().isoformat(timespec="microseconds")
        line = json.dumps({"at": moment, **deed}, ensure_ascii=False).encode() + b"\n"
        written = os.write(self._file, line)
        if written != len(line):
            end = os.lseek(self._file, 0, os.SEEK_CUR)
            if os.fstat(self._file).st_size == end:  # else another line is behind it already
                os.ftruncate(self._file, end - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))

    def close(self) -> None:
        """Close it; a second time does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
