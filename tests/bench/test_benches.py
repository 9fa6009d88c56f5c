"""Each benchmark goes through at a tiny size; how fast it is, is nothing for a test."""

from __future__ import annotations

import asyncio
import json
from contextlib import nullcontext
from typing import TYPE_CHECKING

import psycopg
import pytest

from bench import faults, pipeline, plumbing, servers
from bench.__main__ import main
from bench.figures import as_markdown, at_least, at_most, percentile
from renewal.outcome import Done
from simulation.servers import postgresql
from tests.scenario.stores import sqlite_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

POSTGRESQL = pytest.mark.postgresql
ON_SERVERS = (
    POSTGRESQL,
    pytest.mark.kafka,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
)

TINY = [
    *("--chain", "6", "--renewals", "6", "--items", "20", "--rows", "100", "400", "--due", "10"),
    *("--codes", "2", "--rounds", "1", "--events", "20", "--past", "50", "--pages", "4"),
    *("--answers", "16", "--file-rows", "1200", "--listed", "1200", "50", "--list-pages", "2"),
    *("--pace", "0.02"),
]


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with postgresql.cluster(postgresql.DURABLE) as url:
        yield url


@pytest.fixture
def _servers_of_the_run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A benchmark empties its part of a server anyway: it need not start another for a test."""
    for name, fixture in (("postgresql", "server"), ("broker", "broker")):

        def running(fixture: str = fixture) -> AbstractContextManager[str]:
            found = request.getfixturevalue(fixture)
            return nullcontext(found if isinstance(found, str) else found.server)

        monkeypatch.setattr(servers, name, running)


@pytest.mark.usefixtures("_servers_of_the_run")
@pytest.mark.parametrize(
    ("which", "first"),
    [
        pytest.param(
            "renewals",
            "the whole chain, 6 renewals with real proofs of P-256, SQLite",
            marks=POSTGRESQL,
        ),
        ("scan", "scan: the query, 400 certificates of which 10 are due"),
        pytest.param(
            "aged",
            "our plumbing with 50 events behind it, SQLite; of an empty installation's rate",
            marks=POSTGRESQL,
        ),
        pytest.param("codes", "code, request to hand-over, SQLite: p50 / p99", marks=ON_SERVERS),
        ("pages", "pages of the centre; of a bare page's rate"),
        ("ocsp", "OCSP answers on kept connections"),
        ("files", "run: rows of a file, 1,200, all bad"),
        pytest.param(
            "console",
            "console: the slowest list, 1,200 certificates, p95",
            marks=POSTGRESQL,
        ),
        ("tokens", "a token's renewal: the card's own commands"),
        pytest.param("relay", "events to Kafka by the client alone", marks=ON_SERVERS),
    ],
)
def test_each_benchmark_measures_something(
    which: str, first: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([which, *TINY, "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert told["machine"]["cores"] >= 1
    assert told["figures"][0]["what"] == first
    assert all(figure["value"] >= 0 for figure in told["figures"])


def test_the_table_for_the_readme_is_written(tmp_path: Path) -> None:
    main(["scan", *TINY, "--markdown", str(tmp_path / "table.md")])

    lines = (tmp_path / "table.md").read_text().splitlines()
    assert lines[0].count("|") == lines[2].count("|")


def test_a_goal_is_reached_at_its_edge() -> None:
    figures = [at_least("a", 40, "%", 40), at_least("b", 39.9, "%", 40), at_most("c", 1, "", 1)]

    assert [figure.reached for figure in figures] == [True, False, True]
    assert as_markdown(figures).count("missed") == 1


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile(range(1, 101), 0.99) == 100
    assert percentile([7.0], 0.99) == 7
    assert percentile([3, 1, 2], 0.5) == 2


def test_a_pipeline_that_loses_an_item_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "STEPS", pipeline.STEPS[:3])

    with pytest.raises(AssertionError, match="0 of 3 items went through"):
        pipeline.items_a_second(sqlite_url(tmp_path), 3)


@pytest.mark.parametrize("where", ["sqlite", pytest.param("postgresql", marks=POSTGRESQL)])
def test_the_bare_driver_and_our_plumbing_do_the_same_durable_work(
    where: str, request: pytest.FixtureRequest
) -> None:
    server = request.getfixturevalue("server") if where == "postgresql" else None

    # Each counts every row of its tables in the end, and fails if one is missing.
    for side in (pipeline, plumbing):
        with servers.emptied(server) as url:
            assert side.items_a_second(url, 3) > 0


def test_a_step_of_ours_that_loses_an_event_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plumbing.Step, "prepare", lambda *_, **__: Done())

    with pytest.raises(AssertionError, match=r"changed, noted, told.*\[0, 3, 3,"):
        plumbing.items_a_second(sqlite_url(tmp_path), 3)


@POSTGRESQL
def test_a_task_of_a_peer_does_the_same_durable_work(server: str) -> None:
    with servers.emptied(server) as url, _laid(url, 2) as connection:
        for number in range(len(pipeline.STEPS)):
            for seq in _told(connection, pipeline.STEPS[number]):
                pipeline.one(connection, number, seq)

        pipeline.all_went_through(connection.cursor(), 2)


@POSTGRESQL
def test_an_asynchronous_task_of_a_peer_does_the_same_durable_work(server: str) -> None:
    async def through(dsn: str, seq: int) -> None:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as one:
            for number in range(len(pipeline.STEPS)):
                seq = await pipeline.one_async(one, number, seq)

    with servers.emptied(server) as url, _laid(url, 1) as connection:
        asyncio.run(through(servers.dsn(url), *_told(connection, pipeline.STEPS[0])))

        pipeline.all_went_through(connection.cursor(), 1)


def _laid(url: str, items: int) -> psycopg.Connection:
    connection = psycopg.connect(servers.dsn(url), autocommit=True)
    pipeline.make(connection)
    pipeline.lay(connection.cursor(), items, "%s")
    return connection


def _told(connection: psycopg.Connection, step: str) -> list[int]:
    found = connection.execute("SELECT seq FROM events WHERE topic = %s", (step,))
    return [seq for (seq,) in found]


@pytest.mark.kafka
@pytest.mark.postgresql
@pytest.mark.slow
def test_a_fault_is_measured_and_judged_and_its_table_is_put_between_the_marks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "FAULTS", faults.FAULTS[3:5])
    monkeypatch.setattr(faults, "WARM_UP", 0.1)
    monkeypatch.setattr(faults, "PARTING", 0.1)
    monkeypatch.setattr(faults, "AHEAD", 500)
    page = tmp_path / "faults.md"
    page.write_text(f"before\n{faults.BEGIN}\nwhat was there\n{faults.END}\nafter\n")

    found = faults.figures(seconds=1, rounds=1, into=page)

    measured = {one.what.rpartition(": ")[2]: one.value for one in found}
    assert list(measured) == ["before", "after", "recovery", "lost", "twice", "meanwhile"]
    assert measured["before"] > 0
    assert (measured["lost"], measured["twice"]) == (0, 0)
    text = page.read_text()
    assert text.startswith(f"before\n{faults.BEGIN}\n\n| fault |")
    assert text.endswith(f"{faults.END}\nafter\n")
    assert "what was there" not in text
