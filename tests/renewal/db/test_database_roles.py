"""Shows that each process gets by with the rights of its role in PostgreSQL, and has no others."""

from __future__ import annotations

import base64
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from centre.actions import Centre
from producers.messages import reported
from producers.relay import CODES, OTHERS, Relay
from renewal.clock import VirtualClock
from renewal.db.engine import Store, StoreUnavailableError
from renewal.eventlog.embedded import EmbeddedLog
from renewal.gateways.sms.port import DeliveryReport
from renewal.rules.statements import number_of
from renewal.rules.station_link import EnrolmentRequest
from renewal.store import audit, stations
from scheduler.timetable import Timetable
from schema.migrate import downgrade, upgrade
from schema.tables import metadata
from schema.topics import declared
from simulation.servers.postgresql import _program, cluster
from tests.scenario.acts import SESSION
from tests.scenario.sample import BROWSER, CARD, PRODUCTS, TOKEN, take_in_sample
from tests.scenario.scenario import START, Scenario
from tests.scenario.stores import VAULT
from xuqi.bootstrap import bootstrap, open_store
from xuqi.key_files import read_keys
from xuqi.serving.stations import enrolled_by_code
from xuqi.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from renewal.eventlog.port import Record
    from xuqi.bootstrap import App

#: Hashes of passwords and sessions are shown to nobody.
HIDDEN = ("credentials", "emergency_accounts", "sessions", "staff")
ROLES = Path(__file__).resolve().parents[3] / "deploy" / "postgresql" / "roles.sql"
NAMES = ("web", "workers", "relay", "readonly")
TABLES = sorted(metadata.tables)
NO_SUCH_NUMBER = "30005"  #: the carrier's: this address is not used again
APPEND_ONLY = ("audit", "decisions", "events", "transfers")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A database with its tables and roles, and a login for each role."""
    with cluster() as url:
        upgrade(url)
        for _ in range(2):  # running it again is harmless
            as_owner(url, ROLES.read_text())
        for name in NAMES:
            as_owner(url, f"CREATE ROLE {name} LOGIN IN ROLE xuqi_{name}")
        yield url


def as_owner(url: str, script: str) -> None:
    with psycopg.connect(plain(url), autocommit=True) as connection:
        connection.execute(script.encode())


def plain(url: str) -> str:
    return url.replace("postgresql+psycopg", "postgresql")


def login(url: str, name: str) -> str:
    return sa.make_url(url).set(username=name).render_as_string(hide_password=False)


def refused(url: str, name: str, statement: str, *names: str) -> bool:
    """``{}`` in the statement is the table, or what else is named."""
    told = sql.SQL(statement).format(*map(sql.Identifier, names))
    with psycopg.connect(plain(login(url, name))) as connection:
        try:
            connection.execute(told)
        except psycopg.errors.InsufficientPrivilege:
            return True
        finally:
            connection.rollback()
    return False


@dataclass
class Parted(Scenario):
    """A world whose web faces the database with fewer rights than its workers."""

    web: Store = field(kw_only=True)

    @property
    def centre(self) -> Centre:
        return Centre(self.web, self.app.policies, self.app.keys)


@pytest.fixture
def world(server: str, tmp_path: Path) -> Iterator[Parted]:
    clock = VirtualClock(START)
    app = bootstrap(Settings(home=tmp_path, store_url=server), clock=clock)
    with opened(server, "web", app) as web, opened(server, "workers", app) as own:
        parted = Parted(tmp_path, app, clock, web=web)
        take_in_sample(parted)
        parted.app = replace(app, store=own, log=EmbeddedLog(own))
        yield parted
        parted.ca.close()
        parted.bank.close()
    app.store.close()


@contextmanager
def opened(url: str, name: str, app: App) -> Iterator[Store]:
    settings = replace(app.settings, store_url=login(url, name))
    store = open_store(settings, app.clock, app.keys)
    try:
        yield store
    finally:
        store.close()


def jobs_done(world: Scenario) -> None:
    timetable = Timetable(
        store=world.app.store, policies=world.app.policies, sms=world.app.gateways.sms
    )
    done = [timetable.run(name) for name in timetable.every]
    timetable.stop()
    assert None not in done


def calls_back(world: Parted, report: DeliveryReport) -> bool:
    """The carrier tells the web of one of its messages."""
    with world.web.transaction() as work:
        message = work.connection.scalar(
            sa.text("SELECT id FROM messages WHERE state = 'handed over' ORDER BY id")
        )
        return reported(work, str(message), report, NO_SUCH_NUMBER)


def enrolled_by_its_code(world: Parted) -> str:
    """A station of a branch reaches the web, and the newest line of the trail is returned."""
    code = world.app.back_office.code_for_station("001", who="lin", why="a new station")
    key = base64.b64encode(bytes(32)).decode()
    asked = EnrolmentRequest(branch="001", public_key=key, code=code)
    enrolled_by_code(world.web, asked, number_of(asked.public))
    world.drain()
    with world.web.snapshot() as look:
        assert stations.find(look, number_of(asked.public)) is not None
    with world.app.store.snapshot() as look:
        return str(list(audit.entries(look))[-1]["did"])


class Kept:
    def __init__(self) -> None:
        self.records: list[Record] = []

    def publish(self, records: Sequence[Record]) -> None:
        self.records += records


def relayed(world: Parted, server: str, branches: Sequence[str]) -> list[Record]:
    """What the relay gives to Kafka, with its own login, where there are these branches."""
    kept, topics = Kept(), [topic.name for topic in declared(branches)]
    with opened(server, "relay", world.app) as store:
        for lane in (CODES, OTHERS):
            with closing(store.advisory_lock(lane)) as claim:
                relay = Relay(store, kept, claim, topics, lane=lane)
                while relay.run_once():
                    pass
    return kept.records


def test_web_workers_and_relay_get_by_with_the_rights_of_their_roles(
    world: Parted, server: str
) -> None:
    jobs_done(world)
    world.drain()
    heard = [
        calls_back(world, report)
        for report in (DeliveryReport.DELIVERED, DeliveryReport.UNDELIVERED)
    ]
    renewal, key = world.issued()
    der = world.centre.collect(renewal.id)
    assert der is not None
    world.centre.prove(renewal.id, key.sign(renewal.challenge))
    world.drain()
    world.paid()
    asked = [world.requested(TOKEN), world.requested(CARD)]
    station = world.station(TOKEN)
    world.at_the_branch(station)
    station.incoming.close()
    world.centre.decline(asked[1].id)
    new = world.renewal(renewal.id).new_certificate
    assert new is not None
    sent, code = world.code(certificate=new, action="revoke")
    world.centre.revoke(new, challenge=sent.challenge, code=code, session=SESSION)
    world.drain_over()
    applied, _ = world.applied(BROWSER, PRODUCTS[BROWSER])
    world.drain()
    jobs_done(world)
    enrolled = enrolled_by_its_code(world)
    first = relayed(world, server, branches=["002"])
    given_up = world.rows("SELECT id FROM dead_letters WHERE consumer = :lane", lane=OTHERS)
    for (letter,) in given_up:
        world.app.back_office.replay_dead_letter(letter, who="T01", why="declared now")
    again = relayed(world, server, branches=["001"])

    assert heard == [True, True]
    assert world.renewal(renewal.id).state == "done"
    assert world.renewal(asked[0].id).state == "done"
    assert world.renewal(applied.id).state == "issued"
    assert len(first) > 20
    assert {record.topic for record in first}.isdisjoint({"stations.001"})
    assert [record.topic for record in again].count("stations.001") == len(given_up) > 0
    assert enrolled == "enrol station"
    assert world.dead() == []


def test_a_login_that_may_not_bring_the_tables_up_to_date_says_who_does(
    server: str, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path, store_url=login(server, "workers"))
    downgrade(server, "0001")

    try:
        with pytest.raises(StoreUnavailableError, match="as their owner"):
            open_store(settings, VirtualClock(START), read_keys(settings))
    finally:
        upgrade(server)
        as_owner(server, ROLES.read_text())  # tables that were made anew


@pytest.mark.parametrize("name", NAMES)
def test_every_role_hears_of_others_commits(server: str, name: str) -> None:
    assert not refused(server, name, "LISTEN xuqi")


@pytest.mark.parametrize("table", TABLES)
def test_who_only_reads_changes_nothing(server: str, table: str) -> None:
    column = metadata.tables[table].columns.keys()[0]

    assert refused(server, "readonly", "SELECT * FROM {}", table) == (table in HIDDEN)
    for statement in (
        "INSERT INTO {0} DEFAULT VALUES",
        "UPDATE {0} SET {1} = {1}",
        "DELETE FROM {0}",
        "TRUNCATE {0}",
    ):
        assert refused(server, "readonly", statement, table, column), statement


@pytest.mark.parametrize(
    "table",
    ["accounts", "audit", "dead_letters", "inbox", "leases", "offsets", "parked", "transfers"],
)
def test_the_web_does_not_see_what_is_none_of_its_business(server: str, table: str) -> None:
    assert refused(server, "web", "SELECT * FROM {}", table)


def test_the_web_cannot_read_what_lies_on_the_log_nor_change_whom_it_is_about(server: str) -> None:
    assert refused(server, "web", "SELECT body FROM events")
    assert refused(server, "web", "UPDATE customers SET mobile_sealed = ''")
    assert refused(server, "web", "UPDATE enrolments SET account_sealed = ''")


@pytest.mark.parametrize("table", sorted({"customers", "certificates", "renewals", "audit"}))
def test_the_relay_sees_no_customer(server: str, table: str) -> None:
    assert refused(server, "relay", "SELECT * FROM {}", table)


@pytest.mark.parametrize("name", ["web", "workers", "relay"])
@pytest.mark.parametrize("table", APPEND_ONLY)
def test_what_was_written_down_for_good_is_changed_by_nobody(
    server: str, name: str, table: str
) -> None:
    column = metadata.tables[table].columns.keys()[0]

    assert refused(server, name, "UPDATE {0} SET {1} = {1}", table, column)
    assert refused(server, name, "DELETE FROM {}", table)
    assert refused(server, name, "TRUNCATE {}", table)


@pytest.mark.parametrize("name", NAMES)
def test_no_role_makes_a_table(server: str, name: str) -> None:
    assert refused(server, name, "CREATE TABLE mine (x int)")


def test_every_table_has_somebody_who_may_write_it(server: str) -> None:
    unwritten = [
        table
        for table in TABLES
        if refused(server, "workers", "INSERT INTO {0} SELECT * FROM {0} WHERE false", table)
    ]

    assert unwritten == []


def test_giving_the_roles_their_rights_again_takes_none_away_for_a_moment(server: str) -> None:
    address = sa.make_url(server)
    psql = [_program("psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--file={ROLES}"]
    where = [f"--host={address.query['host']}", f"--username={address.username}", "postgres"]
    with (
        ThreadPoolExecutor() as pool,
        psycopg.connect(plain(login(server, "workers")), autocommit=True) as worker,
    ):
        for _ in range(10):
            again = pool.submit(subprocess.run, [*psql, *where], check=True, capture_output=True)
            while not again.done():
                worker.execute("SELECT 1 FROM certificates LIMIT 1")
            again.result()


def test_who_lacks_a_right_waits_for_it(server: str) -> None:
    """Nothing becomes a dead letter for it, and no loop ends."""
    lacking = pytest.raises(StoreUnavailableError, match=r"lacks a right .*roles\.sql")
    relay = Store(login(server, "relay"), clock=VirtualClock(START), cipher=VAULT)
    with closing(relay), lacking, relay.snapshot() as look:
        look.connection.exec_driver_sql("SELECT 1 FROM customers")
