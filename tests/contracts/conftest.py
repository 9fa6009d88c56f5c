"""The databases that contracts are held on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from schema.tables import metadata
from tests.stores import sqlite_url
from xuqi.demo.servers.postgresql import cluster, database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A server with a database "made", from which others are copied."""
    with cluster() as server, database(server, "made") as made:
        engine = sa.create_engine(made)
        metadata.create_all(engine)
        engine.dispose()
        yield server


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    """A database of its own, with its tables."""
    engine = sa.create_engine(sqlite_url(tmp_path))
    metadata.create_all(engine)
    engine.dispose()
    return sqlite_url(tmp_path)


@pytest.fixture
def copy(postgresql: str) -> Iterator[str]:
    """The same on PostgreSQL."""
    with database(postgresql, "test", template="made") as copied:
        yield copied


@pytest.fixture(params=["sqlite", pytest.param("copy", marks=pytest.mark.postgresql)])
def url(request: pytest.FixtureRequest) -> str:
    """A database with its tables."""
    found: str = request.getfixturevalue(request.param)
    return found
