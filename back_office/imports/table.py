"""Reads a table from a CSV file, one record for one row."""

from __future__ import annotations

import csv
import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from back_office.imports.lines import Line, lines_of
from back_office.imports.report import ImportFileError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

#: Inside a quoted cell only PEM may run over several lines; anything else is a lost quote.
_PEM_LINE = re.compile(r"[A-Za-z0-9+/=\s-]*")
_SHOWN = 40
_DELIMITERS = ",;\t"


@dataclass(frozen=True, kw_only=True)
class Columns:
    """
    What a table may be made of.
    """

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


@dataclass(frozen=True)
class Record:
    line: int
    cells: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""  #: why the cells could not be read


def _plain(heading: str) -> str:
    text = unicodedata.normalize("NFKC", heading).strip().casefold()
    return re.sub(r"[\s_-]+", "_", text)


def read_table(path: Path, columns: Columns) -> Iterator[Record]:
    """
    Yield the rows below the heading, in any order of columns. Empty rows are passed over.

    Raises:
        ImportFileError: the file cannot be read, or its first line is no heading of this table.
    """
    lines = lines_of(path, most=columns.most_bytes)
    first = next(lines, None)
    if first is None:
        raise ImportFileError(f"{path}: is empty")
    heading = _Heading.read(path, first, columns)
    return _records(_joined(lines, columns.most_bytes) if columns.pem else lines, heading)


@dataclass(frozen=True)
class _Heading:
    names: tuple[str, ...]
    delimiter: str

    @classmethod
    def read(cls, path: Path, line: Line, columns: Columns) -> _Heading:
        delimiter = max(_DELIMITERS, key=line.text.count)
        try:
            cells = _cells(line.text, delimiter)
        except csv.Error as error:
            raise ImportFileError(f"{path}: line 1: {error}") from error
        if line.fault:
            raise ImportFileError(f"{path}: line 1: {line.fault}")
        names = [columns.called(cell) for cell in cells]
        if not any(names):  # without a heading, the first line is a person: it is not quoted
            raise ImportFileError(
                f"{path}: line 1: is no heading; the columns are {', '.join(columns.names)}"
            )
        for cell, name in zip(cells, names, strict=True):
            if name is None:
                raise ImportFileError(
                    f"{path}: line 1: unknown column {cell.strip()[:_SHOWN]!r}; "
                    f"the columns are {', '.join(columns.names)}"
                )
            if name and names.count(name) > 1:
                raise ImportFileError(f"{path}: line 1: the column {name!r} is there twice")
        for name in columns.needed:
            if name not in names:
                raise ImportFileError(f"{path}: line 1: the column {name!r} is missing")
        return cls(tuple(name or "" for name in names), delimiter)

    def record(self, line: int, text: str) -> Record | None:
        try:
            cells = _cells(text, self.delimiter)
        except csv.Error as error:
            return Record(line, fault=_reason(error))
        if not any(cells) or not any(cell.strip() for cell in cells):
            return None
        if len(cells) != len(self.names):
            return Record(line, fault=f"has {len(cells)} cells, the heading {len(self.names)}")
        return Record(line, dict(zip(self.names, cells, strict=True)))


def _cells(text: str, delimiter: str) -> list[str]:
    # A reader for each record: what is broken in one cannot swallow the next.
    return next(csv.reader((text,), delimiter=delimiter, strict=True, skipinitialspace=True), [])


def _reason(error: csv.Error) -> str:
    text = str(error)
    if "unexpected end" in text:
        return "a quote is opened and not closed"
    if "expected after" in text:
        return "a quote is closed in the middle of a cell"
    if "field limit" in text:
        return "a cell is too long"
    return "holds a line break outside of quotes"


def _records(lines: Iterator[Line], heading: _Heading) -> Iterator[Record]:
    for line in lines:
        record = Record(line.number, fault=line.fault) if line.fault else None
        record = record or heading.record(line.number, line.text)
        if record is not None:
            yield record


def _joined(lines: Iterator[Line], most: int) -> Iterator[Line]:
    """
    Put the lines of a cell of PEM together, so that each line yielded is one record.
    """
    parts: list[Line] = []
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
            yield Line(parts[0].number, "".join(part.text for part in parts))
            parts = []
    if parts:
        yield _never_closed(parts)


def _never_closed(parts: list[Line]) -> Line:
    return Line(parts[0].number, "", "a quote is opened and not closed")


def _continues(text: str) -> bool:
    return _PEM_LINE.fullmatch(text.partition('"')[0]) is not None
