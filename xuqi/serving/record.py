"""Where a serving process says how it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from xuqi.serving.rooms import ROOMS

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


def record_of(home: Path, rooms: Collection[str] = ROOMS) -> Path:
    """
    One file for each choice of rooms: processes with different ones do not overwrite each other.
    """
    if set(rooms) == set(ROOMS):
        return home / "serve.json"
    return home / f"serve.{'+'.join(room for room in ROOMS if room in rooms)}.json"


def records(home: Path) -> list[dict[str, Any]]:
    """
    What the processes on this home have written of themselves, those that still run first.
    """
    found = [json.loads(path.read_text()) for path in sorted(home.glob("serve*.json"))]
    return sorted(found, key=lambda record: bool(record["stopped"]))
