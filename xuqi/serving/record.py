"""Where a serving process says how it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def record_of(home: Path) -> Path:
    return home / "serve.json"
