"""Reads the lines of a file that may be in any encoding and of any length."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from back_office.imports.report import ImportFileError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UTF8_MARK = b"\xef\xbb\xbf"
#: What a file begins with that holds no lines of text, and what to do about it.
NO_TEXT = {
    b"PK\x03\x04": "is an Excel workbook or a ZIP archive: save it as CSV (UTF-8)",
    b"\xd0\xcf\x11\xe0": "is an old Excel workbook: save it as CSV (UTF-8)",
    b"\x1f\x8b": "is compressed: unpack it first",
    b"BZh": "is compressed: unpack it first",
    b"\xfd7zXZ": "is compressed: unpack it first",
    b"7z\xbc\xaf": "is compressed: unpack it first",
    b"\xff\xfe": "is in UTF-16: save it as CSV (UTF-8)",
    b"\xfe\xff": "is in UTF-16: save it as CSV (UTF-8)",
}
CHUNK = 1 << 16


@dataclass(frozen=True)
class Line:
    number: int  #: from 1
    text: str
    fault: str = ""  #: why the text cannot be used


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """
    Open a file for reading, if it is one: a pipe or a device could be waited for without end.

    Raises:
        ImportFileError: it cannot be read; the text names it and the reason.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise ImportFileError(f"{path}: is no regular file")
            yield file
    except OSError as error:
        raise ImportFileError(f"{path}: cannot be read: {error.strerror or error}") from error


def lines_of(path: Path, *, most: int) -> Iterator[Line]:
    """
    Yield the lines of a text in UTF-8, with or without a mark, or in Big5.

    A line that is longer than ``most`` bytes, does not decode or holds a NUL is yielded with
    its fault; the lines after it come as if nothing had been.

    Raises:
        ImportFileError
    """
    with opened(path) as file:
        start = file.read(8)
        for begins, reason in NO_TEXT.items():
            if start.startswith(begins):
                raise ImportFileError(f"{path}: {reason}")
        first = len(UTF8_MARK) if start.startswith(UTF8_MARK) else 0
        file.seek(first)
        encoding = "utf-8" if first else _encoding(file, most)
        file.seek(first)
        for number, raw in enumerate(_bounded(file, most), start=1):
            yield _decoded(number, raw, encoding)


def _encoding(file: IO[bytes], most: int) -> str:
    """
    Big5, if more of the lines beyond ASCII are no UTF-8 than are.

    One broken line in a file of UTF-8 must not turn all its names into other characters.
    """
    balance = 0
    for raw in _bounded(file, most):
        if raw is None or raw.isascii():
            continue
        try:
            raw.decode()
            balance += 1
        except UnicodeDecodeError:
            balance -= 1
    return "cp950" if balance < 0 else "utf-8"  # Big5 as Windows writes it


def _bounded(file: IO[bytes], most: int) -> Iterator[bytes | None]:
    while raw := file.readline(most + 1):
        if len(raw) <= most:
            yield raw
            continue
        while raw and not raw.endswith(b"\n"):
            raw = file.readline(CHUNK)
        yield None


def _decoded(number: int, raw: bytes | None, encoding: str) -> Line:
    if raw is None:
        return Line(number, "", "the line is too long")
    if b"\0" in raw:
        return Line(number, "", "the line holds a NUL byte")
    try:
        return Line(number, raw.decode(encoding))
    except UnicodeDecodeError:
        name = "Big5" if encoding == "cp950" else "UTF-8"
        return Line(number, "", f"the line is not {name}")
