"""Makes stores with their tables, for tests of what stands on them."""

from __future__ import annotations

import functools
import tempfile
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from renewal.clock import VirtualClock
from renewal.db.encryption import FieldCipher
from renewal.db.engine import Store
from renewal.secret import Secret
from schema.migrate import upgrade
from schema.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

NOON = datetime(2026, 11, 23, 4, tzinfo=UTC)  #: in Taipei
VAULT = FieldCipher({1: Secret(b"a key for tests" * 4)})


@contextmanager
def opened(url: str, *, make: bool = False) -> Iterator[Store]:
    """A store as one process has it; ``make``: with its tables, which are not there yet."""
    if make:
        make_tables(url)
    store = Store(url, clock=VirtualClock(NOON), cipher=VAULT)
    try:
        yield store
    finally:
        store.close()


def make_tables(url: str) -> None:
    """As a first start makes them. On SQLite a copy is made, which is cheaper than new ones."""
    wanted = sa.make_url(url)
    if wanted.get_backend_name() == "sqlite":
        path = Path(str(wanted.database))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(_empty())
    else:
        engine = sa.create_engine(wanted)
        metadata.create_all(engine)
        engine.dispose()


@functools.cache
def _empty() -> bytes:
    """The file of a database of this version without a row."""
    with tempfile.TemporaryDirectory() as folder:
        upgrade(sqlite_url(Path(folder)))
        return (Path(folder) / "store.db").read_bytes()


def sqlite_url(folder: Path) -> str:
    return f"sqlite:///{folder}/store.db"
