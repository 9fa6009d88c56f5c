"""Opens a fresh world for each test of a flow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.flows.world import World, open_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def first_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """
    Made once and closed: a copy is opened sooner than a new one is made.
    """
    made = open_world(tmp_path_factory.mktemp("world") / "home")
    made.close()
    return made


@pytest.fixture
def world(first_world: World, tmp_path: Path) -> Iterator[World]:
    opened = open_world(tmp_path / "home", like=first_world)
    yield opened
    opened.close()
