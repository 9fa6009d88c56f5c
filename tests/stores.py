"""Makes stores with their tables, for tests of what stands on them."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from renewal.clock import VirtualClock
from renewal.secret import Secret
from renewal.store.engine import Store
from renewal.store.vault import Vault
from schema.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOON = datetime(2026, 11, 23, 4, tzinfo=UTC)  #: in Taipei
VAULT = Vault({1: Secret(b"a key for tests" * 4)})


@contextmanager
def opened(url: str, *, make: bool = False) -> Iterator[Store]:
    """
    A store as one process has it.
    """
    store = Store(url, clock=VirtualClock(NOON), vault=VAULT)
    if make:
        metadata.create_all(store.engine)
    try:
        yield store
    finally:
        store.close()


def sqlite_url(folder: Path) -> str:
    return f"sqlite:///{folder}/store.db"
