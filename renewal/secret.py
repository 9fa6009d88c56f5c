"""Secrets that never show themselves."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

from renewal.errors import ReasonedError
from renewal.os_errors import os_error
from schema.reasons import SettingReason

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Secret:
    """Bytes that neither ``repr`` nor ``str`` shows."""

    value: bytes = field(repr=False)

    def __str__(self) -> str:
        return "***"


def secret_from_file(path: Path) -> Secret:
    """
    Read a secret from a file, without the line's end.

    Raises:
        ReasonedError: there is no such file, it is empty, or others may read it.
    """
    try:
        value = path.read_bytes().rstrip(b"\r\n")
        mode = path.stat().st_mode
    except OSError as error:
        why = SettingReason.CANNOT_READ.why(file=str(path), detail=os_error(error))
        raise ReasonedError(why) from error
    if not value:
        raise ReasonedError(SettingReason.FILE_EMPTY.why(file=str(path)))
    if mode & 0o007:
        raise ReasonedError(SettingReason.FILE_OPEN.why(file=str(path)))
    return Secret(value)


def secret_made_once(path: Path, *, length: int = 32) -> Secret:
    """Return the random secret in that file; make it, for the owner alone, if there is none yet."""
    if not path.exists():
        keep_secret(path, os.urandom(length).hex().encode())
    return secret_from_file(path)


def keep_secret(path: Path, content: bytes) -> None:
    """
    Keep it in that file, for the owner alone, unless there is one; no power cut takes it away.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Written whole before it gets its name, so that nobody reads half of it, and a power cut
    # leaves none or all. A link is refused where another process was first.
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        with suppress(FileExistsError):
            path.hardlink_to(file.name)
    # Its name too, before anything is sealed by it on another machine's disk (fsync(2)).
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
