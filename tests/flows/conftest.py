"""Opens a fresh world for each test of a flow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.flows.book import opened_book
from tests.flows.world import World, open_world

if TYPE_CHECKING:
    import io
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


@pytest.fixture
def book(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What a served process writes, with everything that it could say."""
    with opened_book(monkeypatch) as written:
        yield written
