"""One PostgreSQL server for all upgrades."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simulation.servers.postgresql import cluster

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="package")
def postgresql() -> Iterator[str]:
    """A server, started for the first test that needs it."""
    with cluster() as url:
        yield url
