"""The database goes away, cuts off or is full: nothing is lost, nothing has its effect twice."""

from __future__ import annotations

import socket
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import sqlalchemy as sa

from bench.installation import COMPONENTS, Installation, installed, until
from renewal.db.engine import CONNECT_OPTIONS, StoreUnavailableError
from schema.tables import metadata
from simulation.servers.postgresql import PostgresServer, server
from tests.renewal.delivery.scripted import (
    Acting,
    Sql,
    asked,
    dead,
    delivery,
    effects,
    rows,
    run,
    tell,
)
from tests.scenario.decisions import decide
from tests.scenario.patience import patiently
from tests.scenario.stores import opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from renewal.db.engine import Store
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.delivery import ConsumerRunner
    from schema.events import ChangeRequested

pytestmark = [pytest.mark.postgresql, pytest.mark.kafka, pytest.mark.slow]

AT_ONCE = 120


# --- every component a process --------------------------------------------------------------------


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Each component a process of its own, as in docker-compose.yml, with customers at work."""
    components = (*COMPONENTS, "scheduler", "otp", "reminders")
    with installed(tmp_path_factory.mktemp("bank"), customers=2_000, components=components) as made:
        made.start()
        yield made


def troubles(bank: Installation) -> dict[str, str | None]:
    return {name: component.troubles() for name, component in bank.components.items()}


def processes(bank: Installation) -> dict[str, list[int]]:
    return {name: component.workers() for name, component in bank.components.items()}


def all_is_well(bank: Installation, before: dict[str, list[int]]) -> None:
    """The same processes are ready again; what was asked is done, and nothing of it twice."""
    for component in bank.components.values():
        until(component.ready, f"{component.components} does not come back")
    bank.finish()
    assert processes(bank) == before
    assert bank.customers.done() == bank.customers.asked
    assert bank.customers.dead() == 0
    assert bank.judged() == ({}, [])


def test_a_server_that_is_restarted_is_waited_for_by_every_room(bank: Installation) -> None:
    before = processes(bank)
    bank.run(seconds=3, at_once=AT_ONCE)

    with bank.server.gone():
        until(lambda: all(troubles(bank).values()), "a component says that it is ready")
        said = troubles(bank)
    bank.run(seconds=2, at_once=AT_ONCE)

    assert {name for name, why in said.items() if "the database does not answer" in str(why)} == {
        *bank.components
    }
    all_is_well(bank, before)


def test_sessions_that_are_cut_off_again_and_again_in_the_middle_of_work_lose_nothing(
    bank: Installation,
) -> None:
    before, cut = processes(bank), 0

    for _ in range(8):
        bank.run(seconds=0.7, at_once=AT_ONCE)
        cut += bank.kill_backends()

    assert cut >= len(bank.components)
    all_is_well(bank, before)


def test_a_server_that_takes_no_more_sessions_is_waited_for(bank: Installation) -> None:
    before = processes(bank)
    bank.run(seconds=1, at_once=AT_ONCE)

    sessions: list[psycopg.Connection] = []
    with ExitStack() as hog:
        until(lambda: _takes_all(bank, hog, sessions), "there is room for other sessions")
        until(lambda: all(troubles(bank).values()), "a component says that it is ready")
        said = troubles(bank)
    bank.run(seconds=1, at_once=AT_ONCE)

    assert "too many clients" in str(said["relay"])
    all_is_well(bank, before)


def _takes_all(bank: Installation, hog: ExitStack, ours: list[psycopg.Connection]) -> bool:
    """Take every session that there is, and end those of others; say whether all are ours."""
    url = bank.app.store.engine.url
    bank.app.store.engine.dispose()
    named = {"host": str(url.query["host"]), "user": url.username, "dbname": url.database}
    ours += [hog.enter_context(one) for one in iter(lambda: _session(named), None)]
    return bool(ours) and _end_others(ours[0]) == 0


def _session(named: dict[str, Any]) -> psycopg.Connection | None:
    try:
        return psycopg.connect(**named, application_name="hog", autocommit=True)
    except psycopg.OperationalError as error:
        assert "too many clients" in str(error)  # noqa: PT017 - it ends the loop
        return None


def _end_others(mine: psycopg.Connection) -> int:
    ended = mine.execute(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND application_name <> 'hog'"
    )
    return int(ended.fetchall()[0][0])


# --- one process ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own() -> Iterator[PostgresServer]:
    """A server that may be stopped."""
    with server() as made:
        yield made


@pytest.fixture
def store(own: PostgresServer) -> Iterator[Store]:
    with opened(own.url, make=True) as store:
        yield store
        metadata.drop_all(store.engine)


def test_a_place_is_taken_again_once_the_server_is_back(own: PostgresServer, store: Store) -> None:
    claim, other = store.advisory_lock("relay"), store.advisory_lock("relay")
    before = [claim.acquire(), other.acquire()]

    with own.gone(), pytest.raises(StoreUnavailableError, match="the database does not answer"):
        claim.acquire()
    after = [other.acquire(), claim.acquire()]
    other.close()

    assert before == [True, False]
    assert after == [True, False]


def test_a_place_cannot_be_asked_for_while_every_connection_is_in_use(store: Store) -> None:
    engine: Any = store.engine
    engine.pool._timeout = 0.01
    claim = store.advisory_lock("relay")

    with ExitStack() as all_of_them:
        for _ in range(engine.pool.size() + engine.pool._max_overflow):
            all_of_them.enter_context(engine.connect())
        with pytest.raises(StoreUnavailableError, match="every connection"):
            claim.acquire()
        with pytest.raises(StoreUnavailableError, match="every connection"), store.snapshot():
            pass

    assert claim.acquire()
    claim.close()


STANDS_STILL = "idle_in_transaction_session_timeout"


@dataclass
class StandsStill(Sql):
    """With what it has written and locked it stands still, once, until ``other`` has got by."""

    other: Store | None = None

    def prepare(self, event: ChangeRequested, work: UnitOfWork, *, outcome_unknown: bool) -> object:
        work.serialize_on("what both want")
        answer = super().prepare(event, work, outcome_unknown=outcome_unknown)
        if self.attempts.total() == 1 and self.other:
            work.flush()
            with self.other.transaction() as others:
                others.serialize_on("what both want")
        return answer


def test_who_stands_still_within_a_transaction_keeps_nobody_waiting_and_does_it_again(
    own: PostgresServer, store: Store
) -> None:
    tell(store, asked(1), asked(2))

    with (
        opened(f"{own.url}&options=-c {STANDS_STILL}%3D200ms") as slow,
        opened(f"{own.url}&options=-c lock_timeout%3D20s") as other,
    ):
        halfway = delivery(StandsStill(other=other), slow)
        with pytest.raises(StoreUnavailableError, match="suspended within a transaction"):
            run(halfway)
        before = effects(store)
        run(halfway)
        halfway.reader.close()

    assert before == []
    assert Counter(effects(store)) == Counter([(1, 1), (2, 1)])
    assert dead(store) == {}


@pytest.mark.parametrize(
    ("told", "seconds"),
    [("", "30s"), (f"{STANDS_STILL}%3D0", "0"), (f"{STANDS_STILL}%3D7s", "7s")],
)
def test_the_database_ends_a_transaction_that_stands_still_after_30_s_or_as_it_was_told(
    own: PostgresServer, told: str, seconds: str
) -> None:
    options = f"&options=-c {told}" if told else ""

    with opened(f"{own.url}{options}") as store:
        with pytest.raises(ZeroDivisionError), store.transaction():
            _ = 1 / 0
        found = rows(store, sa.text(f"SHOW {STANDS_STILL}"))

    assert found == [(seconds,)]


def test_a_server_that_is_gone_without_a_word_is_noticed_or_as_the_url_says(
    own: PostgresServer,
) -> None:
    told = []
    for url in (own.url, f"{own.url}&tcp_user_timeout=5000&connect_timeout=2"):
        with opened(url) as store, store.snapshot() as look:
            driver = look.connection.connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
            told.append(driver.info.get_parameters())

    usual = {name: str(value) for name, value in CONNECT_OPTIONS.items()}
    assert usual.items() <= told[0].items()
    assert {**usual, "tcp_user_timeout": "5000", "connect_timeout": "2"}.items() <= told[1].items()


def test_a_server_that_takes_the_line_and_says_nothing_is_away() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        url = f"postgresql+psycopg://nobody@127.0.0.1:{port}/none?connect_timeout=2"

        with opened(url) as store, pytest.raises(StoreUnavailableError, match="timeout"):
            rows(store, sa.text("SELECT 1"))


def test_a_server_that_has_become_a_standby_is_waited_for(
    own: PostgresServer, store: Store
) -> None:
    tell(store, asked(1), asked(2))
    halfway = delivery(Sql(), store)

    with _standby(own):
        for _ in range(3):
            until(lambda: _refused(halfway), "it takes changes")
            with pytest.raises(StoreUnavailableError, match="the database takes no changes"):
                _write(store)
    run(halfway)
    halfway.reader.close()

    assert Counter(effects(store)) == Counter([(1, 1), (2, 1)])
    assert dead(store) == {}


HELD = "SELECT FROM pg_locks WHERE locktype = 'advisory'"


def test_a_place_at_a_standby_is_given_to_nobody(own: PostgresServer, store: Store) -> None:
    claim, other = store.advisory_lock("relay"), store.advisory_lock("relay")
    before = claim.acquire()

    with _standby(own):
        for each in (claim, other, claim):
            with pytest.raises(StoreUnavailableError, match="it takes no changes: a standby"):
                each.acquire()
        with _told(own) as connection:
            for _ in patiently():  # a session that was closed ends a moment later
                kept = connection.execute(HELD).fetchall()
                if not kept:
                    break
    after = [other.acquire(), claim.acquire()]
    other.close()

    assert before
    assert kept == []
    assert after == [True, False]


@contextmanager
def _standby(server: PostgresServer) -> Iterator[None]:
    """Started again as a standby, and then put in the first place."""
    server.stop()
    (server.folder / "data" / "standby.signal").touch()
    server.start()
    try:
        yield
    finally:
        with _told(server) as connection:
            connection.execute("SELECT pg_promote()")


def _told(server: PostgresServer) -> psycopg.Connection:
    return psycopg.connect(f"host={server.folder} user=xuqi dbname=postgres", autocommit=True)


def _write(store: Store) -> None:
    with store.transaction() as work:
        decide(work, 1, "test", "done")


def _refused(halfway: ConsumerRunner) -> bool:
    try:
        run(halfway)
    except StoreUnavailableError as error:
        return "takes no changes" in str(error)
    return False


@pytest.mark.parametrize("number", range(1, 8))
def test_a_commit_whose_answer_is_lost_has_its_effect_once(
    store: Store, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    tell(store, asked(1), asked(2))
    consumer = Acting()
    monkeypatch.setattr(store.engine.dialect, "do_commit", Cut(store, number))
    halfway = delivery(consumer, store)

    with pytest.raises(StoreUnavailableError):
        run(halfway)
    run(halfway)
    halfway.reader.close()

    assert consumer.world == [asked(1), asked(2)]
    assert Counter(effects(store)) == Counter([(1, 1), (2, 1)])
    assert dead(store) == {}


class Cut:
    """Commits, and at the commit of that number the server does not live to say so."""

    def __init__(self, store: Store, number: int) -> None:
        self._commits, self._left = store.engine.dialect.do_commit, number

    def __call__(self, connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy's own
        self._commits(connection)
        self._left -= 1
        if self._left == 0:
            connection.driver_connection.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")
