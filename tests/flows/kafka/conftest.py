"""A rig on the broker of the run, and a database server for those that need one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simulation.servers.postgresql import cluster, database
from tests.flows.kafka.rig import Rig, rigged
from tests.scenario.stores import sqlite_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from renewal.eventlog.kafka import Connection


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with cluster(connections=80) as url:
        yield url


@pytest.fixture
def postgresql(server: str) -> Iterator[str]:
    """A database of its own, without tables."""
    with database(server, "rig") as url:
        yield url


@pytest.fixture
def rig(request: pytest.FixtureRequest, kafka: Connection, tmp_path: Path) -> Iterator[Rig]:
    """On SQLite, unless the test names another database."""
    url = sqlite_url(tmp_path)
    if getattr(request, "param", "sqlite") != "sqlite":
        url = request.getfixturevalue(request.param)
    with rigged(kafka, url) as rig:
        yield rig
