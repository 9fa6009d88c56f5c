"""The status file of a serving process."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from xuqi.serving.components import COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


def status_file(home: Path, components: Collection[str] = COMPONENTS, member: str = "") -> Path:
    """
    One file for each choice of components and member, so that they do not overwrite each other.
    """
    names = (
        []
        if set(components) == set(COMPONENTS)
        else ["+".join(it for it in COMPONENTS if it in components)]
    )
    return home / ".".join(["serve", *names, *filter(None, [member]), "json"])


def status_files(home: Path) -> list[dict[str, Any]]:
    """The status files of the processes on this home, running ones first."""
    found = [json.loads(path.read_text()) for path in sorted(home.glob("serve*.json"))]
    return sorted(found, key=lambda record: bool(record["stopped"]))
