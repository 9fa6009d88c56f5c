"""A store with its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.stores import opened, sqlite_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from renewal.store.engine import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with opened(sqlite_url(tmp_path), make=True) as store:
        yield store
