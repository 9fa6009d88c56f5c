"""The non-volatile memory of a simulated card, in one file."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(kw_only=True)
class CardMemory:
    """A card's lasting state. Keys lie open in it: it is a simulation."""

    serial: str
    pin: str  #: the eight bytes as the card compares them, in hex
    puk: str
    management_key: str  #: hex
    management_algorithm: int
    pin_left: int
    puk_left: int
    keys: dict[str, str] = field(default_factory=dict)  #: place: private key in PEM
    objects: dict[str, str] = field(default_factory=dict)  #: tag: content, both hex; "" is deleted
    untold: dict[str, str | None] | None = None  #: a deed that may be missing from the ledger

    def __repr__(self) -> str:
        return f"Memory({self.serial})"


def load(path: Path) -> CardMemory:
    return CardMemory(**json.loads(path.read_text("ascii")))


def save(path: Path, memory: CardMemory) -> None:
    """Replace the file at once: a process killed on any line leaves the old or the new one."""
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        json.dump(asdict(memory), file)
    fresh.replace(path)
