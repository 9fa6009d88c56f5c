"""Reads a table from a CSV file, one record for one row."""

from __future__ import annotations

import csv
import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from back_office.imports.lines import TextLine, lines_of
from back_office.imports.report import ImportFileError
from schema.reasons import FindingReason

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from schema.reasons import Reason

#: Inside a quoted cell only PEM may run over several lines; anything else is a lost quote.
_PEM_LINE = re.compile(r"[A-Za-z0-9+/=\s-]*")
_SHOWN = 40
_DELIMITERS = ",;\t"


@dataclass(frozen=True, kw_only=True)
class Columns:
    """What a table may be made of."""

    names: Mapping[str, Sequence[str]]  #: column -> what else it may be called
    needed: Collection[str]
    ignored: Collection[str] = ()  #: said by another column already
    most_bytes: int  #: in a line, and in a cell of several lines
    pem: bool = False  #: a quoted cell may hold several lines of PEM

    def called(self, heading: str) -> str | None:
        """
        Return the column's own name, ``""`` for one that is passed over, ``None`` for a stranger.
        """
        plain = _plain(heading)
        for name, aliases in self.names.items():
            if plain == name or plain in aliases:
                return name
        return "" if plain in self.ignored else None

    @property
    def listed(self) -> str:
        """As a reason takes them."""
        return ",".join(self.names)

    def stranger(self, heading: str) -> Reason:
        shown = heading.strip()[:_SHOWN]
        return FindingReason.UNKNOWN_COLUMN.why(column=shown, columns=self.listed)


@dataclass(frozen=True)
class TableRecord:
    line: int
    cells: Mapping[str, str] = field(default_factory=dict)
    fault: Reason | None = None  #: why the cells could not be read


def _plain(heading: str) -> str:
    text = unicodedata.normalize("NFKC", heading).strip().casefold()
    return re.sub(r"[\s_-]+", "_", text)


def read_table(path: Path, columns: Columns) -> Iterator[TableRecord]:
    """
    Yield the rows below the heading, in any order of columns. Empty rows are passed over.

    Raises:
        ImportFileError: the file cannot be read, or its first line is no heading of this table.
    """
    lines = lines_of(path, most=columns.most_bytes)
    first = next(lines, None)
    if first is None:
        raise ImportFileError(path, FindingReason.EMPTY)
    heading = _Heading.read(path, first, columns)
    return _records(_joined(lines, columns.most_bytes) if columns.pem else lines, heading)


@dataclass(frozen=True)
class _Heading:
    names: tuple[str, ...]
    delimiter: str
    untitled: tuple[int, ...]  #: columns that a spreadsheet has left at the end, without a title

    @classmethod
    def read(cls, path: Path, line: TextLine, columns: Columns) -> _Heading:
        delimiter = max(_DELIMITERS, key=line.text.count)
        try:
            cells = _cells(line.text, delimiter)
        except csv.Error as error:
            raise _at_heading(path, _reason(error)) from error
        if line.fault:
            raise _at_heading(path, line.fault)
        names = [columns.called(cell) if cell.strip() else "" for cell in cells]
        if not any(names):  # without a heading, the first line is a person: it is not quoted
            raise ImportFileError(path, FindingReason.NO_HEADING.why(columns=columns.listed))
        for cell, name in zip(cells, names, strict=True):
            if name is None:
                raise ImportFileError(path, columns.stranger(cell))
            if name and names.count(name) > 1:
                raise ImportFileError(path, FindingReason.COLUMN_TWICE.why(columns=name))
        for name in columns.needed:
            if name not in names:
                raise ImportFileError(path, FindingReason.COLUMN_MISSING.why(columns=name))
        untitled = tuple(at for at, cell in enumerate(cells) if not cell.strip())
        return cls(tuple(name or "" for name in names), delimiter, untitled)

    def record(self, line: int, text: str) -> TableRecord | None:
        try:
            cells = _cells(text, self.delimiter)
        except csv.Error as error:
            return TableRecord(line, fault=_reason(error))
        if not any(cells) or not any(cell.strip() for cell in cells):
            return None
        if len(cells) != len(self.names):
            many = FindingReason.CELLS.why(count=len(cells), heading=len(self.names))
            return TableRecord(line, fault=many)
        for number in self.untitled:
            if cells[number].strip():
                return TableRecord(line, fault=FindingReason.UNTITLED.why(column=number + 1))
        return TableRecord(line, dict(zip(self.names, cells, strict=True)))


def _cells(text: str, delimiter: str) -> list[str]:
    # A reader for each record: what is broken in one cannot swallow the next.
    return next(csv.reader((text,), delimiter=delimiter, strict=True, skipinitialspace=True), [])


def _at_heading(path: Path, fault: Reason) -> ImportFileError:
    return ImportFileError(path, FindingReason.FIRST_LINE.why(detail=fault.stored()))


def _reason(error: csv.Error) -> Reason:
    text = str(error)
    if "unexpected end" in text:
        return FindingReason.QUOTE_OPEN.why()
    if "expected after" in text:
        return FindingReason.QUOTE_MIDDLE.why()
    if "field limit" in text:
        return FindingReason.CELL_TOO_LONG.why()
    return FindingReason.LINE_BREAK.why()


def _records(lines: Iterator[TextLine], heading: _Heading) -> Iterator[TableRecord]:
    for line in lines:
        record = TableRecord(line.number, fault=line.fault) if line.fault else None
        record = record or heading.record(line.number, line.text)
        if record is not None:
            yield record


def _joined(lines: Iterator[TextLine], most: int) -> Iterator[TextLine]:
    """Put the lines of a cell of PEM together, so that each line yielded is one record."""
    parts: list[TextLine] = []
    quotes = length = 0
    for line in lines:
        if parts and (line.fault or length > most or not _continues(line.text)):
            yield _never_closed(parts)
            parts = []
        if line.fault:
            yield line
            continue
        if not parts:
            quotes = length = 0
        parts.append(line)
        quotes += line.text.count('"')
        length += len(line.text)
        if quotes % 2 == 0:
            yield TextLine(parts[0].number, "".join(part.text for part in parts))
            parts = []
    if parts:
        yield _never_closed(parts)


def _never_closed(parts: list[TextLine]) -> TextLine:
    return TextLine(parts[0].number, "", FindingReason.QUOTE_OPEN.why())


def _continues(text: str) -> bool:
    return _PEM_LINE.fullmatch(text.partition('"')[0]) is not None
