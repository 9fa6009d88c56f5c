"""Writes what became of each item of a run, one line each, and of each row that named nothing."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from back_office.imports.lines import UTF8_MARK
from back_office.imports.report import cannot_write, harmless
from renewal.store import audit
from renewal.store import runs as queries
from schema.reasons import ERROR_CODES, Reason
from schema.states import RunItemState
from schema.stored_reasons import read_reason
from templates.codes import error, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from renewal.db.engine import Store

PAGE = 500
COLUMNS = (
    "row", "certificate", "branch", "state", "renewal", "code", "reason_zh", "reason_en",
    "remedy_zh", "remedy_en", "column",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Written:
    """A result file: how many lines it has, and the hash that is in the audit trail."""

    lines: int
    sha256: str


def write_result(store: Store, run: int, path: Path, *, who: str, why: str) -> Written:
    """
    Write the result of a run as CSV for a spreadsheet. An existing file is never overwritten.

    It holds numbers and reasons only: no name, no address, no ID number.

    Raises:
        ImportFileError: the file exists already, or cannot be written.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        handle = os.open(path, flags, 0o600)
    except OSError as error_:
        raise cannot_write(path, error_) from error_
    lines = 0
    with os.fdopen(handle, "w", encoding="utf-8-sig", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        for line in result_lines(store, run):
            rows.writerow([harmless(str(cell)) for cell in line])
            lines += 1
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    with store.transaction() as work:
        audit.write(
            work, who=who, did="result of run", object_=f"run {run} sha256 {sha256[:32]}", why=why
        )
    return Written(lines=lines, sha256=sha256)


def csv_lines(store: Store, run: int) -> Iterator[bytes]:
    """The same file in pieces, for a download."""
    yield UTF8_MARK + _csv(COLUMNS)  # a spreadsheet asks for the mark
    for cells in result_lines(store, run):
        yield _csv(cells)


def _csv(cells: Sequence[object]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow([harmless(str(cell)) for cell in cells])
    return text.getvalue().encode()


def result_lines(store: Store, run: int) -> Iterator[tuple[object, ...]]:
    """The items in their order, then the rows that named no certificate, as ``COLUMNS``."""
    after = 0
    while True:
        with store.snapshot() as look:
            page = queries.items(look, run, after=after, at_most=PAGE)
        for item in page:
            why = read_reason(item.why, item.why_parameters) if item.why else None
            state = RunItemState(item.state)
            shown = (item.number, item.certificate, item.branch or "", state.value)
            yield (*shown, item.renewal or "", *_worded(why), "")
        if len(page) < PAGE:
            break
        after = page[-1].number
    with store.snapshot() as look:
        for row in queries.findings(look, run):
            why = read_reason(row["why"], row["why_parameters"])
            yield (row["number"], "", "", "row refused", "", *_worded(why), row["column"])


def _worded(why: Reason | None) -> tuple[str, ...]:
    """Code, reason and remedy in both languages."""
    if why is None:
        return ("", "", "", "", "")
    remedies = [remedy_of(why, language) for language in ("zh-TW", "en")]
    return (code_of(why), text(why, "zh-TW"), text(why, "en"), *remedies)


def code_of(why: Reason) -> str:
    """What a clerk names at the help desk; the same in every language."""
    return ERROR_CODES.get(why.code, why.code.value)


def remedy_of(why: Reason, language: str) -> str:
    """What to do about it, where anything is to be done."""
    try:
        found = error(why, language)
    except KeyError:  # an advice that needs more than a run knows: a moment, for instance
        return ""
    return found.advice if found is not None else ""
