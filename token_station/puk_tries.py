"""Counts the remaining PUK tries of tokens, which PIV does not report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from renewal.errors import XuqiError

if TYPE_CHECKING:
    from pathlib import Path


class PukTriesError(XuqiError):
    """The file cannot be read."""


class PukTries:
    """
    What a token said after a wrong unblocking code, by its serial, over restarts of the station.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def left(self, serial: str) -> int | None:
        return self._all().get(serial)

    def note(self, serial: str, left: int | None) -> None:
        """``None``: the right code was given, and the counter is full."""
        known = self._all()
        if known.get(serial) == left:
            return
        known.pop(serial, None)
        if left is not None:
            known[serial] = left
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_name(self._path.name + ".new")
        fresh.write_text(json.dumps(known), encoding="ascii")
        fresh.replace(self._path)

    def _all(self) -> dict[str, int]:
        if not self._path.exists():
            return {}
        try:
            return {str(serial): int(n) for serial, n in json.loads(self._path.read_text()).items()}
        except (ValueError, AttributeError, TypeError) as error:
            raise PukTriesError(f"{self._path} cannot be read: move it away") from error
