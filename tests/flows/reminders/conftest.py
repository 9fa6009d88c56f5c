"""Opens a fresh town for each test."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.flows.reminders.town import Town, make_tables, open_town

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    A database with its tables, made once.
    """
    folder = tmp_path_factory.mktemp("town")
    make_tables(f"sqlite:///{folder}/store.db")
    return folder / "store.db"


@pytest.fixture
def town(tables: Path, tmp_path: Path) -> Iterator[Town]:
    shutil.copy(tables, tmp_path / "store.db")
    opened = open_town(tmp_path, "2026-03-02 09:00")
    yield opened
    opened.close()
