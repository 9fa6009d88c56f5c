"""Opens a branch with one token of either manner."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.token_station.station.branch import Branch

if TYPE_CHECKING:
    from pathlib import Path

    from renewal.db.engine import Store
    from tests.token_station.tokens import Desk


@pytest.fixture
def branch(tmp_path: Path, store: Store, desk: Desk) -> Branch:
    return Branch(tmp_path, store, [desk])
