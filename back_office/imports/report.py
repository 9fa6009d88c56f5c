"""Counts what an import did and says, row by row, what it did not take."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Protocol, Self, TextIO

from renewal.errors import XuqiError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from types import TracebackType

#: A spreadsheet runs a cell that begins with one of these (OWASP, CSV Injection).
RUNS = ("=", "+", "-", "@", "\t", "\r")
COLUMNS = ("file", "place", "field", "outcome", "reason")


class ImportFileError(XuqiError):
    """
    A file cannot be imported at all; the text names the file and the reason.
    """


@dataclass(frozen=True, kw_only=True)
class Finding:
    """
    What a person must know about one row. It names places and reasons, never a value of the row.
    """

    file: str
    place: str  #: ``line 12`` or ``entry 3``
    field: str  #: the column, or empty
    reason: str
    refused: bool  #: else the row is in, with something to know about it


class Found(Protocol):
    def __call__(self, finding: Finding, /) -> None: ...


def ignore(_: object) -> None:
    """
    For callers who want neither progress nor findings.
    """


@dataclass(frozen=True, kw_only=True)
class Report:
    """
    What was done, or in a dry run: what would be. Every row read is in exactly one bucket.
    """

    dry_run: bool
    new: int
    changed: int
    unchanged: int
    refused: int
    noted: Mapping[str, int]  #: rows that are in, by what must be known about them
    states: Mapping[str, int]  #: certificates that came in, by the state that they have now
    superseded: int  #: certificates that were in force and gave way to a newer one of the file

    @property
    def rows(self) -> int:
        return self.new + self.changed + self.unchanged + self.refused


@dataclass
class Tally:
    """
    Grows while an import runs, and tells of its progress.
    """

    found: Callable[[Finding], None]
    progress: Callable[[int], None]
    buckets: Counter[str] = field(default_factory=Counter)
    noted: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    superseded: int = 0

    def refuse(self, *findings: Finding) -> None:
        """
        Count one row, for all the reasons there are against it.
        """
        self.buckets["refused"] += 1
        for finding in findings:
            self.found(finding)

    def take(self, bucket: str, *notes: Finding) -> None:
        self.buckets[bucket] += 1
        for note in notes:
            self.noted[note.reason] += 1
            self.found(note)

    def tell(self) -> None:
        self.progress(self.buckets.total())

    def report(self, *, dry_run: bool) -> Report:
        return Report(
            dry_run=dry_run,
            new=self.buckets["new"],
            changed=self.buckets["changed"],
            unchanged=self.buckets["unchanged"],
            refused=self.buckets["refused"],
            noted=dict(self.noted),
            states={state: count for state, count in self.states.items() if count},
            superseded=self.superseded,
        )


class FindingsFile:
    """
    Writes findings to a file as they come: JSON lines if its name ends so, else CSV.

    Only its owner can read it: the names of the files that it quotes may be those of persons.
    """

    def __init__(self, path: Path) -> None:
        self._json = path.suffix in {".jsonl", ".ndjson"}
        encoding = "utf-8" if self._json else "utf-8-sig"  # a spreadsheet asks for the mark
        try:
            self._file: TextIO = open(  # noqa: SIM115 - it has an opener; `close` closes it
                path, "w", encoding=encoding, newline="", opener=_owner_only
            )
        except OSError as error:
            raise ImportFileError(f"{path}: cannot be written: {error.strerror}") from error
        self._rows = csv.writer(self._file)
        if not self._json:
            self._rows.writerow(COLUMNS)

    def __call__(self, finding: Finding) -> None:
        row = asdict(finding)
        row["outcome"] = "refused" if row.pop("refused") else "noted"
        if self._json:
            self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
        else:
            self._rows.writerow([harmless(row[name]) for name in COLUMNS])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


def _owner_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def harmless(cell: str) -> str:
    """
    Return the cell so that no spreadsheet takes it for a formula.
    """
    return f"'{cell}" if cell.startswith(RUNS) else cell
