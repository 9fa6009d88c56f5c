"""Reads the lines of a file that may be in any encoding and of any length."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from back_office.imports.report import ImportFileError, cannot_read
from renewal.rules import big5
from schema.reasons import FindingReason

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from schema.reasons import Reason

BIG5 = "cp950"
UTF8_MARK = b"\xef\xbb\xbf"
#: What a file begins with that holds no lines of text, and what to do about it.
NO_TEXT = {
    b"PK\x03\x04": FindingReason.IS_EXCEL,
    b"\xd0\xcf\x11\xe0": FindingReason.IS_OLD_EXCEL,
    b"\x1f\x8b": FindingReason.IS_COMPRESSED,
    b"BZh": FindingReason.IS_COMPRESSED,
    b"\xfd7zXZ": FindingReason.IS_COMPRESSED,
    b"7z\xbc\xaf": FindingReason.IS_COMPRESSED,
    b"\xff\xfe": FindingReason.IS_UTF16,
    b"\xfe\xff": FindingReason.IS_UTF16,
}
CHUNK = 1 << 16


@dataclass(frozen=True)
class TextLine:
    number: int  #: from 1
    text: str
    fault: Reason | None = None  #: why the text cannot be used


@contextmanager
def open_text(path: Path) -> Iterator[IO[bytes]]:
    """
    Open a file for reading, if it is one: a pipe or a device could be waited for without end.

    Raises:
        ImportFileError: it cannot be read; the text names it and the reason.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise ImportFileError(path, FindingReason.NOT_REGULAR)
            yield file
    except OSError as error:
        raise cannot_read(path, error) from error


def lines_of(path: Path, *, most: int) -> Iterator[TextLine]:
    """
    Yield the lines of a text in UTF-8, with or without a mark, or in Big5.

    A line that is longer than ``most`` bytes, does not decode or holds a NUL is yielded with
    its fault; the lines after it come as if nothing had been.

    Raises:
        ImportFileError
    """
    with open_text(path) as file:
        start = file.read(8)
        for begins, reason in NO_TEXT.items():
            if start.startswith(begins):
                raise ImportFileError(path, reason)
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
    return BIG5 if balance < 0 else "utf-8"  # Big5 as Windows writes it


def _bounded(file: IO[bytes], most: int) -> Iterator[bytes | None]:
    while raw := file.readline(most + 1):
        if len(raw) <= most:
            yield raw
            continue
        while raw and not raw.endswith(b"\n"):
            raw = file.readline(CHUNK)
        yield None


def _decoded(number: int, raw: bytes | None, encoding: str) -> TextLine:
    if raw is None:
        return TextLine(number, "", FindingReason.LINE_TOO_LONG.why())
    if b"\0" in raw:
        return TextLine(number, "", FindingReason.LINE_NUL.why())
    try:
        return TextLine(number, big5.decode(raw) if encoding == BIG5 else raw.decode(encoding))
    except UnicodeDecodeError:
        name = "Big5" if encoding == BIG5 else "UTF-8"
        return TextLine(number, "", FindingReason.LINE_ENCODING.why(encoding=name))
