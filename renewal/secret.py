"""Secrets, which never show themselves."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from renewal.errors import XuqiError


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
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return secret_from_file(path)
    with os.fdopen(made, "wb") as file:
        file.write(os.urandom(length).hex().encode())
        file.flush()
        os.fsync(file.fileno())
    return secret_from_file(path)
