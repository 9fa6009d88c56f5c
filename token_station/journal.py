"""The station's journal: each step of a token renewal, written before the step."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from renewal.errors import XuqiError

if TYPE_CHECKING:
    from pathlib import Path


class Step(StrEnum):
    """What is on record. A word that ends in -ing was begun, and may or may not have been done."""

    WAITING = "waiting for token"
    SEEN = "token seen"
    PREPARING = "preparing"
    MARKED = "serial given"
    SETTING_PUK = "setting PUK"
    PREPARED = "prepared"
    PIN_SET = "PIN set"
    PIN_VERIFIED = "PIN verified"
    MAKING_KEY = "making key"
    KEY_MADE = "key made"
    REQUEST_SIGNED = "request signed"
    REQUEST_SENT = "request sent"
    CERTIFICATE_RECEIVED = "certificate received"
    WRITING = "writing"
    WRITTEN = "written, read back"
    PROVEN = "proven"
    DECLINING = "declining"  # on record, and perhaps not said yet
    DONE = "done"
    ENDED = "ended"


class JournalEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of one job; what it adds stands for every later step. No PIN, no personal data."""

    renewal: str
    step: Step
    at: str
    token_serial: str | None = None
    old_certificate_sha256: str | None = None
    keep_sha256: tuple[str, ...] | None = None
    replace_sha256: tuple[str, ...] | None = None
    replace_keys_sha256: tuple[str, ...] | None = None
    algorithm: str | None = None
    challenge: str | None = None  # base64
    write_key: str | None = None  # the token's management key, under the branch's key
    place: str | None = None
    key_before: str | None = None  # SHA-256 (hex) of the public key there before, or "none"
    spki: str | None = None  # hex, DER
    csr: str | None = None  # base64
    proof: str | None = None  # base64
    sealed: str | None = None  # the certificate, under the branch's key
    certificate_sha256: str | None = None  # of what was written
    signature: str | None = None  # base64
    why: str | None = None
    is_enrolment: bool | None = None
    puk_attempt: int | None = None  # counts from 1


class JournalError(XuqiError):
    """
    The journal cannot be read or written; the text names the file, and the line that is wrong.
    """


class Journal:
    """
    Append-only JSON lines, on the disk before the next step. Reading them again gives the jobs.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._jobs: dict[str, JournalEntry] = {}
        self._lock = threading.Lock()  # readers are worked on side by side
        self._end = _read(path, self._jobs)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(self._file, self._end)  # half a line was never acted upon
        _sync(path.parent)  # else the whole file may be gone after a power cut

    def write(self, entry: JournalEntry) -> JournalEntry:
        """
        Put a step on record; return the job as it stands now.

        Raises:
            JournalError: it is not on record, and the step must not be begun.
        """
        with self._lock:
            return self._written(entry)

    def _written(self, entry: JournalEntry) -> JournalEntry:
        line = msgspec.json.encode(entry) + b"\n"
        try:
            written = os.pwrite(self._file, line, self._end)
            os.fdatasync(self._file)
        except OSError as error:
            self._forget()
            raise JournalError(f"{self._path} cannot be written: {error.strerror}") from error
        if written != len(line):
            self._forget()
            raise JournalError(f"{self._path} cannot be written: the disk is full")
        self._end += len(line)
        return _merge(self._jobs, entry)

    def _forget(self) -> None:
        """
        Whatever is behind the last whole line: a shorter one written over it would leave its end.
        """
        with suppress(OSError):
            os.ftruncate(self._file, self._end)

    def job(self, renewal: str) -> JournalEntry | None:
        return self._jobs.get(renewal)

    def has_made(self, key: bytes) -> bool:
        """Say whether one of this station's jobs has made the key (SPKI, DER)."""
        with self._lock:
            return any(job.spki == key.hex() for job in self._jobs.values())

    def open_jobs(self) -> list[JournalEntry]:
        """The jobs that are not over, in the order in which they came."""
        over = {Step.DONE, Step.ENDED}
        with self._lock:
            return [job for job in self._jobs.values() if job.step not in over]

    def jobs(self) -> list[JournalEntry]:
        """All jobs that the journal knows of, over or not."""
        with self._lock:
            return list(self._jobs.values())

    def close(self) -> None:
        os.close(self._file)


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _merge(jobs: dict[str, JournalEntry], entry: JournalEntry) -> JournalEntry:
    before = jobs.get(entry.renewal)
    if before is None:
        jobs[entry.renewal] = entry
        return entry
    added = {name: value for name, value in msgspec.structs.asdict(entry).items() if value}
    jobs[entry.renewal] = merged = msgspec.structs.replace(before, **added)
    return merged


def _read(path: Path, jobs: dict[str, JournalEntry]) -> int:
    """Read the whole lines; return where the last of them ends."""
    if not path.exists():
        return 0
    content = path.read_bytes()
    end = content.rfind(b"\n") + 1
    for number, line in enumerate(content[:end].splitlines(), start=1):
        try:
            _merge(jobs, msgspec.json.decode(line, type=JournalEntry))
        except msgspec.MsgspecError as error:
            raise JournalError(f"{path}, line {number}: {error}") from error
    return end
