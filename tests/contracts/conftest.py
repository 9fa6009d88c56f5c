"""The databases that contracts are held on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from schema.tables import metadata
from tests.servers.postgresql import cluster, database
from tests.stores import sqlite_url

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


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database with its tables."""
    if request.param == "sqlite":
        engine = sa.create_engine(sqlite_url(tmp_path))
        metadata.create_all(engine)
        engine.dispose()
        yield sqlite_url(tmp_path)
    else:
        server = request.getfixturevalue("postgresql")
        with database(server, "test", template="made") as copy:
            yield copy
