"""Where a serving process says how it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from xuqi.serving.rooms import ROOMS

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


def record_of(home: Path, rooms: Collection[str] = ROOMS, member: str = "") -> Path:
    """
    One file for each choice of rooms and member: they do not overwrite each other.
    """
    names = [] if set(rooms) == set(ROOMS) else ["+".join(it for it in ROOMS if it in rooms)]
    return home / ".".join(["serve", *names, *filter(None, [member]), "json"])


def records(home: Path) -> list[dict[str, Any]]:
    """
    What the processes on this home have written of themselves, those that still run first.
    """
    found = [json.loads(path.read_text()) for path in sorted(home.glob("serve*.json"))]
    return sorted(found, key=lambda record: bool(record["stopped"]))
