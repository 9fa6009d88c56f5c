"""Says of each row of a run's list that is not renewed where and why, as a list and a workbook."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from back_office.imports.report import cannot_read, harmless
from back_office.runs.errors import RunRefusedError
from back_office.runs.result import code_of, remedy_of
from back_office.runs.sheet import COLUMNS, read_rows
from renewal.store import runs as queries
from schema.reasons import RunReason
from schema.stored_reasons import read_reason
from templates.codes import text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from renewal.db.engine import Store
    from renewal.db.unit_of_work import UnitOfWork
    from schema.reasons import Reason

PAGE = 500
#: A workbook for a person to mend by hand; the CSV of the result holds every row.
MOST_MARKED = 50_000
#: By which of these a row names its certificate: the first that has something in it.
NAMING = ("certificate", "serial", "token_serial", "reference", "id_number")
_CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class FaultyRow:
    """A row that is not renewed. ``column`` is empty where none of its cells is to blame."""

    number: int
    column: str
    certificate: int | None
    why: Reason

    @property
    def code(self) -> str:
        return code_of(self.why)

    def reason(self, language: str) -> str:
        return text(self.why, language)

    def remedy(self, language: str) -> str:
        return remedy_of(self.why, language)


def faulty_rows(
    work: UnitOfWork, run: int, *, after: int = 0, at_most: int = PAGE
) -> Sequence[FaultyRow]:
    """A page of them, in the order of the file."""
    return [
        FaultyRow(
            number=number, column=column, certificate=certificate, why=read_reason(why, parameters)
        )
        for number, column, why, parameters, certificate in queries.left_out(
            work, run, after=after, at_most=at_most
        )
    ]


def write_marked(store: Store, run: int, source: Path, target: Path) -> int:
    """
    Write a workbook of the rows that are not renewed, with the cells to mend marked, and return
    how many they are. Its rows can be mended there and handed in as a list of their own.

    ``source``: the very file of the run. No copy of it is kept: it may hold ID numbers.

    Raises:
        ImportFileError: it cannot be read.
        RunRefusedError: it is another file.
    """
    _check_same(store, run, source)
    faulty = _all_faulty(store, run)
    marked = 0
    book, sheet = _workbook()
    one = next(faulty, None)
    for row in read_rows(source):
        if one is None or marked == MOST_MARKED:
            break
        if row.number == one.number:
            sheet.append(_cells(sheet, row.cells, one))
            marked += 1
            one = next(faulty, None)
    book.save(target)
    return marked


def _check_same(store: Store, run: int, source: Path) -> None:
    digest = hashlib.sha256()
    try:
        with source.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as problem:
        raise cannot_read(source, problem) from problem
    with store.snapshot() as look:
        if look.runs.get(run).source_sha256 != digest.digest():
            raise RunRefusedError(RunReason.OTHER_FILE.why())


def _all_faulty(store: Store, run: int) -> Iterator[FaultyRow]:
    after = 0
    while True:
        with store.snapshot() as look:
            page = faulty_rows(look, run, after=after)
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1].number


def _workbook() -> tuple[Any, Any]:
    from openpyxl import Workbook  # noqa: PLC0415 - slow to import

    book = Workbook(write_only=True)
    sheet = book.create_sheet("errors")
    sheet.freeze_panes = "A2"
    sheet.append([*COLUMNS.names, "備註", "note"])
    return book, sheet


def _cells(sheet: Any, cells: Mapping[str, str], one: FaultyRow) -> list[Any]:  # noqa: ANN401 - openpyxl
    """The row as it was, the cell to mend in red with a comment, then code, reason and remedy."""
    from openpyxl.cell import WriteOnlyCell  # noqa: PLC0415 - slow to import
    from openpyxl.comments import Comment  # noqa: PLC0415 - as above
    from openpyxl.styles import PatternFill  # noqa: PLC0415 - as above

    guilty = one.column or next((name for name in NAMING if cells.get(name)), NAMING[0])
    made = []
    for name in COLUMNS.names:
        cell = WriteOnlyCell(sheet, value=_plain(cells.get(name, "")))
        if name == guilty:
            cell.fill = PatternFill("solid", start_color="FFC7CE")
            cell.comment = Comment(f"{one.code}\n{one.reason('zh-TW')}\n{one.reason('en')}", "Xuqi")
        made.append(cell)
    notes = (
        f"{one.number} {one.code} {one.reason(lang)} {one.remedy(lang)}" for lang in _LANGUAGES
    )
    return [*made, *map(_plain, notes)]


_LANGUAGES = ("zh-TW", "en")


def _plain(value: str) -> str:
    """No formula, and none of the signs that a workbook may not hold."""
    return harmless("".join(c for c in value if c >= " "))
