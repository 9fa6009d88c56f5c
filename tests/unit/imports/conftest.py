"""A store with its tables, the shipped policies, and a place to put files."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from renewal.clock import VirtualClock
from renewal.cycle import Policies
from renewal.secret import Secret
from renewal.store.engine import Store
from renewal.store.vault import Vault
from schema.policy import load_policies
from schema.tables import metadata
from tests.unit.imports.making import Bank

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOON = datetime(2026, 11, 23, 4, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(
        f"sqlite:///{tmp_path}/db/store.db",
        clock=VirtualClock(NOON),
        vault=Vault({1: Secret(b"a key for tests" * 4)}),
    )
    metadata.create_all(store.engine)
    yield store
    store.close()


@pytest.fixture
def bank(store: Store, tmp_path: Path) -> Bank:
    return Bank(store, Policies(load_policies()), tmp_path)
