"""A store apart from the files, and a bank that hands files over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from renewal.rules.policies import Policies
from schema.policy import load_policies
from tests.back_office.imports.making import Bank
from tests.scenario.stores import opened, sqlite_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from renewal.db.engine import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with opened(sqlite_url(tmp_path / "db"), make=True) as store:
        yield store


@pytest.fixture
def bank(store: Store, tmp_path: Path) -> Bank:
    return Bank(store, Policies(load_policies()), tmp_path)
