"""Appends each act of the CA to its activity log once."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Final

from renewal.errors import XuqiError

if TYPE_CHECKING:
    from pathlib import Path

    from renewal.gateways.activity_log import ActivityLog
    from renewal.gateways.ca.embedded.database import CaDatabase

_BLOCK: Final = 65_536


def tell(book: CaDatabase, ledger: ActivityLog) -> None:
    """
    Append every deed that the ledger has not got yet.

    A deed is in the book's own transaction; the file comes after it. Whoever was killed
    between the line and its mark left the line as the file's last one: so the last lines
    are compared with the deeds that are owed, while the book keeps other writers out.
    The file is this CA's alone.
    """
    if not book.untold():
        return
    with book.work(survives_power_cut=False):
        owed = book.untold()
        lines = [json.loads(deed.line) for deed in owed]
        path = ledger._path  # noqa: SLF001 -- the ledger is written by others and read by nobody else
        for line in lines[_already_told(lines, path) :]:
            ledger.append(at=str(line.pop("at")), **line)
        book.mark_told()


def _already_told(owed: list[dict[str, object]], path: Path) -> int:
    """Return how many of the deeds, from the first, are the last lines of the file."""
    last = _last_lines(path, 1)
    ends = [number for number, deed in enumerate(owed, 1) if [deed] == last]
    for count in reversed(ends):
        if _last_lines(path, count) == owed[:count]:
            return count
    return 0


def _last_lines(path: Path, count: int) -> list[dict[str, object]]:
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        tail = b""
        while end and tail.count(b"\n") <= count:
            start = max(0, end - _BLOCK)
            file.seek(start)
            tail = file.read(end - start) + tail
            end = start
    try:
        return [json.loads(line) for line in tail.splitlines()[-count:]]
    except ValueError as error:
        raise XuqiError(f"{path}: one of its last lines is not JSON: {error}") from error
