"""Opens a branch with one token of either manner."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.devices.station.branch import Branch
from tests.stores import opened, sqlite_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from renewal.store.engine import Store
    from tests.devices.tokens import Desk


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    A database with its tables, made once.
    """
    folder = tmp_path_factory.mktemp("empty")
    with opened(sqlite_url(folder), make=True):
        pass
    return folder / "store.db"


@pytest.fixture
def store(tmp_path: Path, empty: Path) -> Iterator[Store]:
    shutil.copy(empty, tmp_path / "store.db")
    with opened(sqlite_url(tmp_path)) as store:
        yield store


@pytest.fixture
def branch(tmp_path: Path, store: Store, desk: Desk) -> Branch:
    return Branch(tmp_path, store, [desk])
