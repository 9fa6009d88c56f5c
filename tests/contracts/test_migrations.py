"""However a database came to its shape, it is the one that the code knows."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic import autogenerate, migration, script

from schema import migrate
from schema.migrate import HEAD, MIGRATIONS, MigrationError, upgrade, version_of
from schema.migrations import of_dialect
from schema.tables import metadata
from tests.stores import sqlite_url
from xuqi.demo.servers.postgresql import database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHAPE = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE '%alembic%'"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    if request.param == "sqlite":
        yield sqlite_url(tmp_path)
    else:
        with database(request.getfixturevalue("postgresql"), "empty") as url:
            yield url


def ask(url: str, query: str) -> list[tuple[object, ...]]:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        found = connection.exec_driver_sql(query)
        rows = [tuple(row) for row in found] if found.returns_rows else []
    engine.dispose()
    return rows


def shape(url: str) -> list[str]:
    """Every statement that made the database, however it was laid out."""
    return sorted(
        " ".join(f"{kind} {name} {sql}".split()) for kind, name, _, sql in ask(url, SHAPE)
    )


def test_an_empty_database_gets_the_tables_of_the_code(empty: str) -> None:
    upgrade(empty)

    engine = sa.create_engine(empty)
    with engine.connect() as connection:
        options = {"compare_type": True, "include_object": of_dialect(engine.dialect.name)}
        context = migration.MigrationContext.configure(connection, opts=options)
        difference = autogenerate.compare_metadata(context, metadata)
        version = version_of(connection)
    engine.dispose()
    assert difference == []
    assert version == HEAD


def test_made_at_once_or_step_by_step_it_is_the_same(tmp_path: Path) -> None:
    at_once, by_steps = sqlite_url(tmp_path / "at once"), sqlite_url(tmp_path / "by steps")

    upgrade(at_once)
    with migrate._connected(sa.make_url(by_steps)) as connection:
        migrate._alembic(connection, HEAD)

    assert shape(by_steps) == shape(at_once)


def test_twice_is_as_once(empty: str) -> None:
    upgrade(empty)
    upgrade(empty)

    assert ask(empty, "SELECT version_num FROM alembic_version") == [(HEAD,)]


def test_several_processes_may_start_at_once(empty: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(upgrade, [empty] * 4))

    assert ask(empty, "SELECT version_num FROM alembic_version") == [(HEAD,)]


def test_a_database_newer_than_the_code_is_refused(empty: str) -> None:
    upgrade(empty)
    ask(empty, "UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(MigrationError, match=r"has version 9999, and this program knows .* 0002"):
        upgrade(empty)


def test_tables_without_a_version_are_refused(empty: str) -> None:
    engine = sa.create_engine(empty)
    metadata.create_all(engine)
    engine.dispose()

    with pytest.raises(MigrationError, match="no version"):
        upgrade(empty)


def test_the_head_is_the_last_revision() -> None:
    assert script.ScriptDirectory(str(MIGRATIONS)).get_current_head() == HEAD


def test_an_empty_sqlite_database_is_made_without_alembic(tmp_path: Path) -> None:
    code = (
        "import sys; from schema.migrate import upgrade; upgrade(sys.argv[1]); "
        "assert 'alembic' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", code, sqlite_url(tmp_path)], check=True)
