"""However a database came to its shape, it is the one that the code knows."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic import autogenerate, migration, script

from renewal.db.engine import StoreUnavailableError
from renewal.db.rows import Payment
from schema import migrate
from schema.migrate import HEAD, MIGRATIONS, MigrationError, downgrade, upgrade, version_of
from schema.migrations import of_dialect
from schema.tables import metadata
from simulation.servers.postgresql import database
from tests.scenario.outside import Weather
from tests.scenario.sample import BROWSER, CARD, TOKEN, open_sample
from tests.scenario.stores import sqlite_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.scenario.scenario import Scenario

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
        re.sub(r"\s*([(),]|\s)\s*", r"\1", f"{kind} {name} {sql}".strip())
        for kind, name, _, sql in ask(url, SHAPE)
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

    with pytest.raises(MigrationError, match=f"version 9999, and this program knows .* {HEAD}"):
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


# --- with work in flight ------------------------------------------------------------------------


@pytest.fixture
def world(empty: str, tmp_path: Path) -> Iterator[Scenario]:
    """
    A renewal that is requested, one whose bank is away, a payment that is asked for; nothing of
    it is delivered but what waits for the bank.
    """
    weather = Weather()
    opened = open_sample(tmp_path / "home", store_url=empty, weather=weather)
    weather.bank = lambda _booking: "unavailable"
    opened.requested(CARD)
    payment = opened.centre.pay(TOKEN)
    assert isinstance(payment, Payment)
    opened.drain()
    opened.requested(BROWSER)
    yield opened
    opened.close()


#: What the oldest shape has no place for, and work under way can do without: where a message and a
#: payment went (then what is on file is taken), and whose fault a try was.
FORGOTTEN = {("messages", "address_hash"), ("payments", "account_sealed"), ("parked", "outages")}


def contents(url: str) -> dict[str, list[list[tuple[str, str]]]]:
    """Every row of every table: what is in its columns, where there is anything."""
    found = {}
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        there = set(sa.inspect(connection).get_table_names())
        for name in there.intersection(metadata.tables):
            rows = connection.exec_driver_sql(f"SELECT * FROM {name}").mappings()  # noqa: S608 - our own tables
            found[name] = sorted(
                sorted(
                    (key, repr(it))
                    for key, it in row.items()
                    if it is not None and (name, key) not in FORGOTTEN
                )
                for row in rows
            )
    engine.dispose()
    return {name: rows for name, rows in found.items() if rows}


def test_one_step_back_and_up_again_loses_nothing_of_what_is_under_way(
    world: Scenario, empty: str
) -> None:
    before = contents(empty)

    downgrade(empty, "0001")
    back = contents(empty)
    upgrade(empty)

    assert ask(empty, "SELECT version_num FROM alembic_version") == [(HEAD,)]
    assert back == contents(empty) == before
    assert all(before[name] for name in ("renewals", "parked", "events", "payments", "inbox"))
    world.weather.bank = lambda _booking: None
    world.drain_over()
    assert world.dead() == []
    assert world.rows("SELECT state FROM payments") == [("paid",)]
    assert world.rows("SELECT count(*) FROM parked") == [(0,)]


def test_an_older_shape_gets_every_step_with_what_is_under_way(world: Scenario, empty: str) -> None:
    downgrade(empty, "0001")
    before = contents(empty)

    upgrade(empty)

    assert contents(empty) == before
    assert before["renewals"]


@pytest.mark.parametrize("told", [False, True])
def test_a_request_of_before_whose_job_is_told_is_not_read_again(
    world: Scenario, empty: str, *, told: bool
) -> None:
    """The card's request has been read; the browser's has not."""
    downgrade(empty, "0020")
    ask(empty, "DELETE FROM inbox WHERE consumer = 'records'")
    ask(empty, "INSERT INTO offsets (consumer, position) VALUES ('records', 1)")
    if told:
        ask(
            empty,
            "INSERT INTO events (topic, key, kind, identity, at, body) "
            "SELECT topic, key, 'token-job-requested.v2', 'token-job-requested.v2:' || key, at, "
            "body FROM events WHERE identity = 'renewal-requested.v1:R00000001-01'",
        )

    upgrade(empty)

    noted = ask(empty, "SELECT identity, state FROM inbox WHERE consumer = 'records' ORDER BY 1")
    settled = [BROWSER, CARD] if told else [CARD]
    assert noted == [(f"renewal-requested.v1:R{one:08d}-01", "settled") for one in settled]
    assert world.dead() == []


def test_who_stays_connected_goes_on_through_every_step(world: Scenario, empty: str) -> None:
    def back_and_up() -> None:
        for _ in range(3):
            downgrade(empty, "0001")
            upgrade(empty)

    world.weather.bank = lambda _booking: None
    with ThreadPoolExecutor() as pool:
        moving = pool.submit(back_and_up)
        while not moving.done():
            with suppress(StoreUnavailableError):  # it waits for the tables that it knows
                world.drain()
        moving.result()

    world.drain_over()

    assert world.dead() == []
    assert world.rows("SELECT state FROM payments") == [("paid",)]


def test_a_program_that_does_not_know_the_tables_waits_and_gives_nothing_up(
    world: Scenario, empty: str
) -> None:
    ask(empty, "ALTER TABLE payments RENAME TO of_another_release")
    with pytest.raises(StoreUnavailableError):
        world.drain_over()
    ask(empty, "ALTER TABLE of_another_release RENAME TO payments")

    world.weather.bank = lambda _booking: None
    world.drain_over()

    assert world.dead() == []
    assert world.rows("SELECT state FROM payments") == [("paid",)]


@pytest.mark.parametrize("to", ["9999", "0000", "head"])
def test_there_is_a_way_back_to_older_shapes_only(empty: str, to: str) -> None:
    upgrade(empty)

    with pytest.raises(MigrationError, match=f"no way back to {to}"):
        downgrade(empty, to)
