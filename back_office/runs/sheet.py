"""Reads the rows of a run's file, CSV or XLSX, each naming one certificate."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from back_office.imports.lines import open_text
from back_office.imports.report import ImportFileError
from back_office.imports.table import Columns, TableRecord, read_table
from schema.reasons import FindingReason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from schema.reasons import Reason

COLUMNS = Columns(
    names={
        "certificate": ("憑證", "憑證編號", "編號", "number", "id"),
        "serial": ("憑證序號", "序號", "certificate_serial"),
        "token_serial": ("載具序號", "token"),
        "reference": ("客戶編號", "customer", "customer_number"),
        "id_number": ("身分證字號", "統一編號", "身分證統一編號"),
        "product": ("產品",),
        "branch": ("分行", "營業單位"),
        "not_after": ("到期日", "end", "expires", "expiry"),
    },
    needed=(),
    ignored=("備註", "note", "姓名", "name"),
    most_bytes=8_192,
)
#: A workbook is unpacked in memory: what grows beyond this is no list of certificates.
MOST_UNPACKED_BYTES = 512 * 1024 * 1024
MOST_RATIO = 200  #: unpacked to packed; a sheet of numbers packs about 10 to 1
_ZIP = b"PK\x03\x04"


@dataclass(frozen=True, kw_only=True)
class SheetRow:
    """One row as it was read: cells by column, or the reason why there are none."""

    number: int  #: its line in the file, the heading is 1
    cells: Mapping[str, str]
    fault: Reason | None = None


def read_rows(path: Path) -> Iterator[SheetRow]:
    """
    Yield the rows below the heading. Empty rows are passed over.

    Raises:
        ImportFileError: the file cannot be read, or its first row is no heading.
    """
    with open_text(path) as file:
        workbook = file.read(len(_ZIP)) == _ZIP
    records = _read_workbook(path) if workbook else read_table(path, COLUMNS)
    for record in records:
        yield SheetRow(number=record.line, cells=record.cells, fault=record.fault)


def _read_workbook(path: Path) -> Iterator[TableRecord]:
    from openpyxl import load_workbook  # noqa: PLC0415 - slow to import
    from openpyxl.utils.exceptions import InvalidFileException  # noqa: PLC0415 - as above

    _check_size(path)
    try:
        book = load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise ImportFileError(path, FindingReason.NO_WORKBOOK) from error
    try:
        sheet = book.worksheets[0]
        # Some programs write a wrong size of the sheet, and rows beyond it would be lost.
        sheet.reset_dimensions()
        yield from _records(path, ([_text(cell) for cell in row] for row in sheet.values))
    finally:
        book.close()


def _check_size(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError) as error:
        raise ImportFileError(path, FindingReason.NO_WORKBOOK) from error
    unpacked = sum(entry.file_size for entry in entries)
    packed = max(1, sum(entry.compress_size for entry in entries))
    if unpacked > MOST_UNPACKED_BYTES or unpacked > MOST_RATIO * packed:
        raise ImportFileError(path, FindingReason.UNPACKS.why(bytes=unpacked))


def _text(cell: object) -> str:
    """A cell as a person sees it: Excel keeps whole numbers as floats and days as moments."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime | date):
        return f"{cell:%Y/%m/%d}"
    return str(cell).strip()


def _records(path: Path, rows: Iterator[list[str]]) -> Iterator[TableRecord]:
    heading = next(rows, None)
    if heading is None or not any(heading):
        raise ImportFileError(path, FindingReason.SHEET_EMPTY)
    names = [_named(path, cell) for cell in heading if cell]
    for line, cells in enumerate(rows, start=2):
        if any(cells):
            yield TableRecord(line, dict(zip(names, cells, strict=False)))


def _named(path: Path, heading: str) -> str:
    name = COLUMNS.called(heading)
    if name is None:
        raise ImportFileError(path, COLUMNS.stranger(heading))
    return name
