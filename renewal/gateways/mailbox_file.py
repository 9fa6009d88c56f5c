"""An activity log that several processes share as one mailbox."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from renewal.errors import XuqiError
from renewal.gateways.activity_log import ActivityLog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from renewal.clock import Clock


class MailboxFileError(XuqiError):
    """A line of a mailbox is not one that we wrote; the text names the file and the place."""


@dataclass(frozen=True, kw_only=True)
class MailboxLine:
    at: datetime
    id: str  #: the carrier's
    ref: str  #: ours
    final: str  #: what the carrier will say of it in the end, or empty
    code: str


class MailboxFile:
    """
    Appends messages, and finds them by our id or by the carrier's, also those of other processes.

    The file is read from where the last reading ended. Safe to use from several threads.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._ledger = ActivityLog(path, clock)
        self._file = os.open(path, os.O_RDONLY)
        self._thread = threading.Lock()
        self._read_to = 0
        self._by_ref: dict[str, list[MailboxLine]] = {}
        self._by_id: dict[str, MailboxLine] = {}

    def close(self) -> None:
        """Close it; a second time does nothing."""
        self._ledger.close()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def append(self, **fields: str) -> None:
        with self._locked(fcntl.LOCK_EX):
            self._ledger.append(**fields)

    def of_ref(self, ref: str, *, since: datetime) -> MailboxLine | None:
        """Return the first line of our message since then."""
        with self._locked(fcntl.LOCK_SH):
            self._read_on()
            return next((line for line in self._by_ref.get(ref, ()) if line.at >= since), None)

    def of_id(self, carrier_id: str) -> MailboxLine | None:
        with self._locked(fcntl.LOCK_SH):
            self._read_on()
            return self._by_id.get(carrier_id)

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        # flock holds between processes, not between threads that share an open file.
        with self._thread:
            fcntl.flock(self._file, how)
            try:
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def _read_on(self) -> None:
        size = os.fstat(self._file).st_size
        if size < self._read_to:  # somebody emptied the mailbox
            self._read_to = 0
            self._by_ref.clear()
            self._by_id.clear()
        news = os.pread(self._file, size - self._read_to, self._read_to)
        for raw in news.splitlines(keepends=True):
            self._take(raw)
            self._read_to += len(raw)

    def _take(self, raw: bytes) -> None:
        try:
            line = _line(json.loads(raw))
        except (ValueError, KeyError, TypeError) as error:
            position = f"{self._path}, byte {self._read_to}"
            raise MailboxFileError(f"{position}: not a line of a mailbox") from error
        self._by_ref.setdefault(line.ref, []).append(line)
        self._by_id[line.id] = line


def _line(fields: dict[str, str]) -> MailboxLine:
    return MailboxLine(
        at=datetime.fromisoformat(fields["at"]),
        id=fields["id"],
        ref=fields["ref"],
        final=fields.get("final", ""),
        code=fields.get("code", ""),
    )
