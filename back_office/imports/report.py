"""Counts what an import did and reports each refused row."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TextIO

from renewal.errors import ReasonedError
from renewal.os_errors import os_error
from schema.reasons import FindingReason, ImportedChange
from templates.codes import column_name, finding_word, text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from types import TracebackType

    from schema.reasons import Reason

#: A spreadsheet runs a cell that begins with one of these (OWASP, CSV Injection).
RUNS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
COLUMNS = ("file", "place", "field", "outcome", "reason", "code")
_ADDED = frozenset((ImportedChange.MOBILE_ADDED, ImportedChange.MAIL_ADDED))
_TAKEN_AWAY = frozenset((ImportedChange.MOBILE_TAKEN_AWAY, ImportedChange.MAIL_TAKEN_AWAY))

_A_FEW, _SHARE = 20, 5
_SLIPPED = 5  #: customers who get the numbers of others: a column that was sorted by itself
_ONE_BY_HAND = 2  #: customers whose number somebody may mean to take away


class ImportFileError(ReasonedError):
    """A file cannot be imported at all; ``about`` names the file."""

    def __init__(self, file: Path | str, reason: Reason | FindingReason) -> None:
        super().__init__(reason, str(file))


def cannot_read(file: Path | str, error: OSError) -> ImportFileError:
    return ImportFileError(file, FindingReason.CANNOT_READ.why(detail=os_error(error)))


def cannot_write(file: Path | str, error: OSError) -> ImportFileError:
    return ImportFileError(file, FindingReason.CANNOT_WRITE.why(detail=os_error(error)))


class RowPlace(NamedTuple):
    """Where in a file something stands; ``str`` is the same in every language, for programs."""

    line: int = 0
    entry: int = 0

    def __str__(self) -> str:
        return self.in_words("en")

    def in_words(self, language: str) -> str:
        line, entry = str(self.line), str(self.entry)
        if self.line and self.entry:
            return text(FindingReason.LINE_AND_ENTRY.why(line=line, entry=entry), language)
        if self.line:
            return text(FindingReason.LINE.why(line=line), language)
        return text(FindingReason.ENTRY.why(entry=entry), language) if self.entry else ""


@dataclass(frozen=True, kw_only=True)
class ImportFinding:
    """
    What a person must know about one row. It names places and reasons, never a value of the row.
    """

    file: str
    place: RowPlace
    field: str  #: the column, or empty
    reason: Reason
    refused: bool  #: else the row is in, with something to know about it

    def in_words(self, language: str) -> dict[str, str]:
        """What stands in each column of a findings file."""
        return {
            "file": self.file,
            "place": self.place.in_words(language),
            "field": column_name(self.field, language),
            "outcome": finding_word(self.outcome, language),
            "reason": text(self.reason, language),
            "code": self.reason.code.value,
        }

    def for_programs(self, language: str) -> dict[str, str]:
        """The same with places, columns and outcomes by their names, which no language changes."""
        own = {"place": str(self.place), "field": self.field, "outcome": self.outcome}
        return self.in_words(language) | own

    @property
    def outcome(self) -> str:
        return "refused" if self.refused else "noted"


def ignore(_: object) -> None:
    """For callers who want neither progress nor findings."""


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """What was done, or in a dry run: what would be. Every row read is in exactly one bucket."""

    dry_run: bool
    new: int
    changed: int
    unchanged: int
    refused: int
    noted: Mapping[Reason, int]  #: rows that are in, by what must be known about them
    states: Mapping[str, int]  #: certificates that came in, by the state that they have now
    changes: Mapping[ImportedChange, int]  #: what of the customers on file is another than before
    superseded: int  #: certificates that were in force and gave way to a newer one of the file
    slipped: int  #: customers whose number or address is now one that others have on file
    shared: Mapping[str, int]  #: of what each row brings anew: for how many one address stands

    def wants_yes(self, shared_at_most: int) -> int:
        """
        The number that somebody must say before the file is taken in; none: it is ordinary.

        One number that many customers get at once is a column that was pasted down, or somebody
        who wants their codes; or it is their accountant, and then a person knows.
        """
        most = max(self.shared.values(), default=0)
        return self.mass_change or (most if most > shared_at_most else 0)

    @property
    def mass_change(self) -> int:
        """
        How many rows would change customers on file, if that is too many to be an ordinary file.

        A column that is empty by mistake takes every number away: a fifth of the rows, and not
        just a few, wants somebody's yes.
        """
        taken = max((n for what, n in self.changes.items() if what not in _ADDED), default=0)
        many = taken >= _A_FEW and taken * _SHARE >= self.rows
        slipped = self.slipped >= _SLIPPED
        return self.changed if many or slipped or self._has_emptied else 0

    @property
    def _has_emptied(self) -> bool:
        """Whether a column takes its value away from every customer of the file who is on file."""
        there = self.changed + self.unchanged
        emptied = (n for what, n in self.changes.items() if what in _TAKEN_AWAY)
        return any(n == there > _ONE_BY_HAND for n in emptied)

    def for_programs(self) -> dict[str, Any]:
        """As JSON may hold it: reasons by their codes."""
        noted = Counter[str]()
        for reason, count in self.noted.items():
            noted[reason.code.value] += count
        changes = {change.value: count for change, count in self.changes.items()}
        return asdict(replace(self, noted={}, changes={})) | {"noted": noted, "changes": changes}

    @property
    def rows(self) -> int:
        return self.new + self.changed + self.unchanged + self.refused


@dataclass
class Tally:
    """Grows while an import runs, and tells of its progress."""

    found: Callable[[ImportFinding], None]
    progress: Callable[[int], None]
    buckets: Counter[str] = field(default_factory=Counter)
    noted: Counter[Reason] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    changes: Counter[ImportedChange] = field(default_factory=Counter)
    superseded: int = 0
    slipped: int = 0
    shared: dict[str, int] = field(default_factory=dict)

    def share(self, shared: Mapping[str, int]) -> None:
        for name, many in shared.items():
            if many > 1:
                self.shared[name] = max(many, self.shared.get(name, 0))

    def refuse(self, *findings: ImportFinding) -> None:
        """Count one row, for all the reasons there are against it."""
        self.buckets["refused"] += 1
        for finding in findings:
            self.found(finding)

    def take(self, bucket: str, *notes: ImportFinding) -> None:
        self.buckets[bucket] += 1
        for note in notes:
            self.noted[note.reason] += 1
            self.found(note)

    def tell(self) -> None:
        self.progress(self.buckets.total())

    def report(self, *, dry_run: bool) -> ImportReport:
        return ImportReport(
            dry_run=dry_run,
            new=self.buckets["new"],
            changed=self.buckets["changed"],
            unchanged=self.buckets["unchanged"],
            refused=self.buckets["refused"],
            noted=dict(self.noted),
            states={state: count for state, count in self.states.items() if count},
            changes=dict(self.changes),
            superseded=self.superseded,
            slipped=self.slipped,
            shared=dict(self.shared),
        )


class FindingsFile:
    """
    Writes findings to a file as they come: JSON lines if its name ends so, else CSV.

    Only its owner can read it: the names of the files that it quotes may be those of persons.
    """

    def __init__(self, path: Path, language: str) -> None:
        self._language = language
        self._json = path.suffix in {".jsonl", ".ndjson"}
        encoding = "utf-8" if self._json else "utf-8-sig"  # a spreadsheet asks for the mark
        try:
            self._file: TextIO = open(  # noqa: SIM115 - it has an opener; `close` closes it
                path, "w", encoding=encoding, newline="", opener=_owner_only
            )
        except OSError as error:
            raise cannot_write(path, error) from error
        self._rows = csv.writer(self._file)
        if not self._json:
            self._rows.writerow([finding_word(name, language) for name in COLUMNS])

    def __call__(self, finding: ImportFinding) -> None:
        if self._json:
            row = finding.for_programs(self._language)
            self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
        else:
            row = finding.in_words(self._language)
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
    # Never over a file that is there, be it the input itself, and never through a link.
    return os.open(path, flags | os.O_EXCL | os.O_NOFOLLOW, 0o600)


def harmless(cell: str) -> str:
    """Return the cell so that no spreadsheet takes it for a formula."""
    return f"'{cell}" if cell.startswith(RUNS) else cell
