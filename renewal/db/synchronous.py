"""How long SQLite waits for the disk."""

from __future__ import annotations

from enum import StrEnum


class Synchronous(StrEnum):
    """NORMAL survives a killed process, FULL also a power cut; in batches FULL costs nothing."""

    FULL = "FULL"
    NORMAL = "NORMAL"
