"""Copies a home, its databases as of one moment each, and puts such a copy back."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from renewal.errors import XuqiError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

MANIFEST = "manifest.json"
FORMAT = 1
_SQLITE = b"SQLite format 3\0"
#: What a running program makes for itself.
_PASSED_OVER = ("-wal", "-shm", "-journal", ".lock", ".sock", ".pid")
_CHUNK = 1 << 20


class BackupError(XuqiError):
    """Nothing was made, or nothing was put back; the text says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Copied:
    files: int
    bytes: int


def back_up(home: Path, target: Path, *, first: Path | None, at: datetime) -> Copied:
    """
    Copy the home into a new folder, while it is served or not.

    ``first``: the store's database is copied before all else. So what the CA and the bank have
    done meanwhile is in the copy, too, and `xuqi check` and `xuqi reconcile` find it; the other
    way round a certificate could be missing at the CA.

    Raises:
        BackupError: the folder exists already.
    """
    if target.exists():
        raise BackupError(f"{target} is there already: give the name of a new folder")
    target.mkdir(mode=0o700, parents=True)
    hashes: dict[str, str] = {}
    names = sorted(_files(home), key=lambda path: (path != first, str(path)))
    size = 0
    for path in names:
        name = path.relative_to(home)
        copy = target / "home" / name
        copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _copy(path, copy)
        hashes[str(name)] = _sha256(copy)
        size += copy.stat().st_size
    manifest = {"format": FORMAT, "at": at.isoformat(), "files": hashes}
    (target / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False))
    return Copied(files=len(hashes), bytes=size)


def restore(source: Path, home: Path) -> Copied:
    """
    Put a copy back as a home, if every file of it is as it was made.

    Raises:
        BackupError: the home is in use, or the copy is not whole.
    """
    if home.exists() and any(home.iterdir()):
        raise BackupError(f"{home} is not empty: move it away first, nothing is overwritten")
    hashes = _checked(source)
    size = 0
    for name in hashes:
        copy = home / name
        copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copy2(source / "home" / name, copy)
        size += copy.stat().st_size
    return Copied(files=len(hashes), bytes=size)


def _checked(source: Path) -> dict[str, str]:
    try:
        manifest = json.loads((source / MANIFEST).read_text())
        hashes: dict[str, str] = manifest["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackupError(f"{source} is no copy made by `xuqi backup`: {MANIFEST}") from error
    if manifest.get("format") != FORMAT:
        raise BackupError(f"{source} was made by another version: format {manifest.get('format')}")
    root = (source / "home").resolve()
    for name, sha256 in hashes.items():
        path = root / name
        if root not in path.resolve().parents:
            raise BackupError(f"{source}: {name!r} leads out of the copy")
        if not path.is_file() or _sha256(path) != sha256:
            raise BackupError(f"{source}: {name} is missing or was changed: use another copy")
    return hashes


def _files(home: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(home):
        for name in names:
            path = home.__class__(folder) / name
            if path.is_file() and not path.is_symlink() and not name.endswith(_PASSED_OVER):
                yield path


def _copy(path: Path, copy: Path) -> None:
    with path.open("rb") as file:
        is_database = file.read(len(_SQLITE)) == _SQLITE
    if not is_database:
        shutil.copy2(path, copy)
        return
    # SQLite's online backup: as of one moment, whoever writes meanwhile.
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as made:
        source.backup(made)
    copy.chmod(path.stat().st_mode & 0o777)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
