"""Opens the CA's book while another process holds it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from renewal.errors import GatewayUnavailableError
from renewal.gateways.ca.embedded import database

if TYPE_CHECKING:
    from pathlib import Path


def test_a_book_that_stays_locked_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PATIENCE", 0.2)
    path = tmp_path / "book.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")

        with pytest.raises(GatewayUnavailableError, match="locked by another process"):
            database.CaDatabase(path)
