"""A clean house for each test, and a hand that reaches past every rule into its rows."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.renewal.invariants.story import tell
from xuqi.check import findings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xuqi.bootstrap import App


@dataclass
class Broken:
    """The story's house, which can be broken."""

    app: App
    path: Path

    def sql(self, statements: str) -> None:
        """Write what no rule of the tables would let pass."""
        with closing(sqlite3.connect(self.path)) as database:
            database.execute("PRAGMA synchronous=OFF")
            rules = database.execute(
                "SELECT type, name FROM sqlite_master WHERE type = 'trigger' OR name IN"
                " ('uq_certificates_slot_in_force', 'uq_renewals_slot_open')"
            ).fetchall()
            for kind, name in rules:
                database.execute(f"DROP {kind} {name}")
            database.executescript(f"BEGIN; {statements}; COMMIT")

    def copy(self, table: str, where: str, **changed: str) -> None:
        """Put a copy of one row beside it, changed; values are SQL."""
        with closing(sqlite3.connect(self.path)) as database:
            names = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
        kept = ", ".join(f'"{name}"' for name in names)
        values = ", ".join(changed.get(name, f'"{name}"') for name in names)
        self.sql(f"INSERT INTO {table} ({kept}) SELECT {values} FROM {table} WHERE {where}")  # noqa: S608 - the test's own

    def found(self) -> set[tuple[str, str]]:
        return {(one.invariant, one.what) for one in findings(self.app)}


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[App, sqlite3.Connection]]:
    """The story's house, and its rows as they were at the end of the story."""
    story = tell(tmp_path_factory.mktemp("story"))
    app = story.app
    rows = sqlite3.connect(":memory:")
    with closing(sqlite3.connect(str(app.store.engine.url.database))) as database:
        database.backup(rows)
    yield app, rows
    rows.close()
    story.close()


@pytest.fixture
def broken(told: tuple[App, sqlite3.Connection]) -> Broken:
    """The same house for all tests, which saves half their time, with its rows put back."""
    app, rows = told
    path = Path(str(app.store.engine.url.database))
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA synchronous=OFF")
        rows.backup(database)
    return Broken(app, path)
