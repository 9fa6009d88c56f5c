"""The audit trail of this station, each line chained to the one before."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from renewal.errors import XuqiError

if TYPE_CHECKING:
    from pathlib import Path

    from renewal.clock import Clock

FIRST = "0" * 64


class AuditError(XuqiError):
    """The trail cannot be written, or was changed; the text names the line."""


@dataclass(frozen=True, kw_only=True)
class Deed:
    """No PIN, no personal data of a customer."""

    number: int
    at: str
    who: str
    what: str
    token: str
    renewal: str
    note: str


class Trail:
    """Append-only JSON lines; a line's ``chain`` is the SHA-256 of the one before and of itself."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._count, self._last = self._checked()

    def record(
        self, who: str, what: str, *, token: str = "", renewal: str = "", note: str = ""
    ) -> Deed:
        """Put the deed on record, and on the disk; only then is it done."""
        with self._lock:
            deed = Deed(
                number=self._count + 1,
                at=self._clock.now().isoformat(),
                who=who,
                what=what,
                token=token,
                renewal=renewal,
                note=note,
            )
            chain = _chained(self._last, deed.__dict__)
            self._append(json.dumps({**deed.__dict__, "chain": chain}, ensure_ascii=False))
            self._count, self._last = deed.number, chain
            return deed

    @property
    def count(self) -> int:
        return self._count

    def deeds(self) -> list[Deed]:
        return [deed for deed, _ in self._lines()]

    def behind(self, number: int, at_most: int) -> list[tuple[Deed, str]]:
        """The lines after that one, each with its chain."""
        with self._lock:
            return self._lines()[number : number + at_most] if number < self._count else []

    def _append(self, line: str) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, line.encode() + b"\n")
            os.fdatasync(descriptor)
        except OSError as error:
            raise AuditError(f"{self._path} cannot be written: {error.strerror}") from error
        finally:
            os.close(descriptor)

    def _checked(self) -> tuple[int, str]:
        count, last = 0, FIRST
        for deed, chain in self._lines():
            count += 1
            if deed.number != count or chain != _chained(last, deed.__dict__):
                raise AuditError(f"{self._path}, line {count}: the trail was changed")
            last = chain
        return count, last

    def _lines(self) -> list[tuple[Deed, str]]:
        if not self._path.exists():
            return []
        found = []
        for number, line in enumerate(self._path.read_text("utf-8").splitlines(), start=1):
            try:
                row = json.loads(line)
                found.append((Deed(**{k: v for k, v in row.items() if k != "chain"}), row["chain"]))
            except (ValueError, KeyError, TypeError) as error:
                raise AuditError(f"{self._path}, line {number}: not a line of the trail") from error
        return found


def _chained(before: str, row: dict[str, object]) -> str:
    text = json.dumps(row, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(f"{before}{text}".encode()).hexdigest()
