"""Opens a fresh world for each test of a flow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.flows.world import World, open_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    opened = open_world(tmp_path / "home")
    yield opened
    opened.close()
