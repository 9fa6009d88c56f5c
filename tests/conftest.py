"""What tests share: the process, stores, the sample bank, a broker, databases and a browser."""

from __future__ import annotations

import gc
import signal
import uuid
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from argon2 import PasswordHasher

from schema.topics import declared
from simulation.servers import CannotStartError
from simulation.servers.kafka import cluster, collect
from simulation.servers.postgresql import cluster as postgresql_cluster
from simulation.servers.postgresql import database
from tests.scenario.book import opened_book
from tests.scenario.reminding import open_town
from tests.scenario.sample import open_sample
from tests.scenario.statements import compiled_once
from tests.scenario.stores import make_tables, opened, sqlite_url
from web import passwords

#: As root in a container, on a machine without graphics, and silent on the network.
CHROMIUM = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage",
]  # fmt: skip

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

    from renewal.db.engine import Store
    from renewal.eventlog.kafka import Connection
    from simulation.servers.kafka import Broker
    from tests.scenario.scenario import Scenario


def _of_the_process() -> object:
    told = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    return gc.isenabled(), gc.get_threshold(), told


@pytest.fixture(autouse=True)
def _the_process_stays_as_it_was() -> Iterator[None]:
    """
    Whoever serves sets collector and signals for it: a test that did so would change the others.
    """
    before = _of_the_process()
    yield
    assert _of_the_process() == before


@pytest.fixture(scope="session", autouse=True)
def _statements_are_compiled_once() -> Iterator[None]:
    with compiled_once():
        yield


@pytest.fixture(scope="session", autouse=True)
def _passwords_are_hashed_with_little_work() -> Iterator[None]:
    """Nearly every page is behind a log-in; tests/centre/test_passwords.py has the real work."""
    little = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "hasher", lambda: little)
        yield


# --- a bank -------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def first_world(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    """The sample bank, made once and closed: a copy is opened sooner than a new one is made."""
    made = open_sample(tmp_path_factory.mktemp("world") / "home")
    made.close()
    return made


@pytest.fixture
def world(first_world: Scenario, tmp_path: Path) -> Iterator[Scenario]:
    """The sample bank, for one test."""
    opened = open_sample(tmp_path / "home", like=first_world)
    yield opened
    opened.close()


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Scenario]:
    """A bank without customers that does nothing but remind."""
    made = open_town(tmp_path / "home", "2026-03-02 09:00")
    yield made
    made.close()


@pytest.fixture
def book(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What a served process writes, with everything that it could say."""
    with opened_book(monkeypatch) as written:
        yield written


# --- databases ----------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with its tables, on SQLite in a file."""
    with opened(sqlite_url(tmp_path), make=True) as store:
        yield store


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A server with a database "made", from which others are copied."""
    with postgresql_cluster() as server, database(server, "made") as made:
        make_tables(made)
        yield server


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    """A database of its own, with its tables."""
    make_tables(sqlite_url(tmp_path))
    return sqlite_url(tmp_path)


@pytest.fixture
def copy(postgresql: str) -> Iterator[str]:
    """The same on PostgreSQL."""
    with database(postgresql, "test", template="made") as copied:
        yield copied


@pytest.fixture(params=["sqlite", pytest.param("copy", marks=pytest.mark.postgresql)])
def url(request: pytest.FixtureRequest) -> str:
    """A database with its tables."""
    found: str = request.getfixturevalue(request.param)
    return found


# --- servers and a browser ----------------------------------------------------------------------


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One node, started for the first test that needs it. If it cannot be started, they fail."""
    nodes = cluster(tmp_path_factory.mktemp("kafka"))
    with ExitStack() as stack:
        stack.callback(collect)  # last of all, when nobody tries to reach the broker any more
        stack.callback(nodes.stop)
        try:
            nodes.start()
        except CannotStartError as error:
            pytest.fail(f"no broker: {error}", pytrace=False)
        yield nodes.brokers[0]


@pytest.fixture
def kafka(broker: Broker) -> Iterator[Connection]:
    """A part of the broker that nobody else uses, with every topic of an installation."""
    from renewal.eventlog.kafka import Connection, Topics  # noqa: PLC0415 - slow to import

    connection = Connection(servers=(broker.server,), prefix=f"{uuid.uuid4().hex[:8]}.")
    Topics(connection).apply(declared(["001"]))
    yield connection
    collect()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """
    A browser for the tests of one module.

    Not for the session: Playwright keeps an event loop running in this thread for as long as it is
    open, and two of them, or another test's own loop, cannot be beside it.
    """
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - slow to import

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", headless=True, args=CHROMIUM
        )
        yield browser
        browser.close()
