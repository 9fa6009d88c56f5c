"""The books: double entry with holds, append-only, in whole New Taiwan dollars."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    import sqlalchemy as sa


class Books:
    def __init__(self, connection: sa.Connection, at: datetime) -> None:
        self._connection = connection
        self._at = at

    def flush(self) -> None:
        pass
