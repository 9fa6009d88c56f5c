"""Secrets, which never show themselves."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

from renewal.errors import XuqiError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Secret:
    """
    Bytes that neither ``repr`` nor ``str`` shows.
    """

    value: bytes = field(repr=False)

    def __str__(self) -> str:
        return "***"


def secret_from_file(path: Path) -> Secret:
    """
    Read a secret from a file, without the line's end.

    Raises:
        XuqiError: there is no such file, it is empty, or others may read it.
    """
    try:
        value = path.read_bytes().rstrip(b"\r\n")
        mode = path.stat().st_mode
    except OSError as error:
        raise XuqiError(f"the secret file {path} cannot be read: {error.strerror}") from error
    if not value:
        raise XuqiError(f"the secret file {path} is empty")
    if mode & 0o007:
        raise XuqiError(f"the secret file {path} may be read by anybody: chmod o-rwx it")
    return Secret(value)


def secret_made_once(path: Path, *, length: int = 32) -> Secret:
    """
    Return the random secret in that file; make it, for the owner alone, if there is none yet.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Written whole before it gets its name, so that nobody reads half of it, and a power
        # cut leaves none or all. A link is refused where another process was first.
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.") as file:
            file.write(os.urandom(length).hex().encode())
            file.flush()
            os.fsync(file.fileno())
            with suppress(FileExistsError):
                path.hardlink_to(file.name)
    return secret_from_file(path)
