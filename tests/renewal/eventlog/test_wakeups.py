"""Shows that a commit in one process ends the waits of another on PostgreSQL."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
import sqlalchemy as sa

from renewal.db.notifications import CommitNotifier
from renewal.eventlog.embedded import EmbeddedLog
from schema.codec import kind_name
from schema.events import RenewalConfirmed, RenewalDone
from schema.tables.log import events
from tests.scenario.decisions import decide
from tests.scenario.stores import NOON, opened
from tests.scenario.waits import Waits

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from concurrent.futures import Executor, Future

    from renewal.db.engine import Store
    from renewal.eventlog.embedded import EmbeddedReader
    from renewal.eventlog.port import Record

pytestmark = pytest.mark.postgresql

SOON = timedelta(seconds=10)
NEVER = timedelta(hours=1)
LISTENING = "FROM pg_stat_activity WHERE query = 'LISTEN xuqi'"


@pytest.fixture
def store(copy: str) -> Iterator[Store]:
    with opened(copy) as store:
        yield store


@pytest.fixture
def elsewhere(copy: str) -> Iterator[Store]:
    """The same database as another process has it."""
    with opened(copy) as store:
        yield store


def listening(store: Store) -> Store:
    """It is woken once when listening begins."""
    before = store.changes
    store.wait_for_change(before, SOON)
    assert store.changes == before + 1
    return store


def tell(store: Store) -> None:
    with store.transaction() as work:
        work.emit(RenewalDone(renewal="R1-1"))


def says(store: Store, query: str) -> list[object]:
    with store.engine.connect() as connection:
        return list(connection.scalars(sa.text(query)))


def test_a_commit_in_one_process_ends_the_wait_of_another(store: Store, elsewhere: Store) -> None:
    seen = listening(store).changes

    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(store.wait_for_change, seen, SOON)
        tell(elsewhere)
        waiting.result()

    assert store.changes == seen + 1


def test_who_has_no_use_for_what_was_told_elsewhere_waits_on(
    store: Store, elsewhere: Store
) -> None:
    listening(store)

    with ThreadPoolExecutor() as pool:
        waiting = waits_without_done(pool, store)
        tell(elsewhere)
        with pytest.raises(TimeoutError):
            waiting.result(0.5)
        with elsewhere.transaction() as work:
            work.emit(RenewalDone(renewal="R1-2"))
            work.emit(RenewalConfirmed(renewal="R1-3"))
        waiting.result()


def test_a_commit_by_a_program_that_names_no_kinds_wakes_everybody(
    store: Store, elsewhere: Store
) -> None:
    listening(store)

    with ThreadPoolExecutor() as pool:
        waiting = waits_without_done(pool, store)
        with elsewhere.transaction() as work:
            work.connection.execute(sa.text("SELECT pg_notify('xuqi', 'an older one')"))
        waiting.result()


def waits_without_done(pool: Executor, store: Store) -> Future[None]:
    without = {kind_name(RenewalDone)}
    return pool.submit(store.wait_for_change, store.changes, SOON, exclude=without)


def test_a_commit_between_the_look_and_the_wait_is_heard(store: Store, elsewhere: Store) -> None:
    seen = listening(store).changes

    tell(elsewhere)
    store.wait_for_change(seen, SOON)

    assert store.changes == seen + 1


def test_a_reader_gets_what_another_process_tells_while_it_waits(
    store: Store, elsewhere: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The safety poll is put off for an hour: what is found was heard of."""
    monkeypatch.setattr("renewal.db.engine.FALLBACK_POLL", NEVER)
    with closing(EmbeddedLog(listening(store)).reader("tests", ["renewals"])) as reader:
        found = polled(reader, store, lambda: tell(elsewhere), monkeypatch)

    assert [record.identity for record in found] == [RenewalDone(renewal="R1-1").identity]


def test_what_nobody_was_told_of_is_found_all_the_same(
    store: Store, elsewhere: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"topic": "renewals", "key": "k", "kind": "?", "identity": "silent", "body": b""}

    def silently() -> None:
        with elsewhere.transaction() as work:
            work.connection.execute(sa.insert(events), {**row, "at": NOON})

    with closing(EmbeddedLog(listening(store)).reader("tests", ["renewals"])) as reader:
        found = polled(reader, store, silently, monkeypatch)

    assert [record.identity for record in found] == ["silent"]


def polled(
    reader: EmbeddedReader,
    store: Store,
    meanwhile: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> list[Record]:
    """What it gives though it had found nothing before it began to wait."""
    wait = store.wait_for_change

    def begin(seen: int, timeout: timedelta, *, exclude: Collection[str]) -> None:
        meanwhile()
        wait(seen, timeout, exclude=exclude)

    monkeypatch.setattr(store, "wait_for_change", begin)
    return list(reader.poll(10, NEVER))


def test_a_killed_listener_is_replaced(store: Store, elsewhere: Store) -> None:
    seen = listening(store).changes
    [first] = says(elsewhere, f"SELECT pid {LISTENING}")

    assert says(elsewhere, f"SELECT pg_terminate_backend(pid) {LISTENING}") == [True]
    store.wait_for_change(seen, SOON)  # until it listens again
    tell(elsewhere)
    store.wait_for_change(seen + 1, SOON)

    assert store.changes == seen + 2
    assert says(elsewhere, f"SELECT pid {LISTENING}") != [first]


def test_a_listener_knocks_every_two_seconds_at_a_database_that_stays_away() -> None:
    engine = sa.create_engine("postgresql+psycopg://nobody@/none?host=/nowhere")
    listener = CommitNotifier(engine, "tests", lambda _told: None)
    listener._ended = ended = Waits(7)
    listener._run(socket.socket())

    assert ended.told == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]


def test_while_nobody_listens_for_it_a_store_looks_again_sooner(
    store: Store, elsewhere: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("renewal.db.notifications.FIRST_PAUSE", SOON.total_seconds())
    unheard = store.poll_interval
    heard = listening(store).poll_interval

    says(elsewhere, f"SELECT pg_terminate_backend(pid) {LISTENING}")
    lost = threading.Event()
    while store.poll_interval == heard:
        lost.wait(0.01)

    assert store.poll_interval == unheard < heard


def test_a_commit_of_ones_own_is_counted_once(store: Store, elsewhere: Store) -> None:
    seen = listening(store).changes

    for _ in range(20):
        tell(store)
    says(elsewhere, f"SELECT pg_terminate_backend(pid) {LISTENING}")
    store.wait_for_change(seen + 20, SOON)  # until it listens again

    assert store.changes == seen + 21


def test_others_are_told_of_events_only_and_of_nothing_that_is_in_them(store: Store) -> None:
    url = store.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as listener:
        listener.execute("LISTEN xuqi")

        with store.transaction() as work:
            decide(work, 1, "test", "done")
        tell(store)
        listener.execute("SELECT pg_notify('xuqi', 'the end')")
        heard = [told.payload for told in listener.notifies(timeout=60, stop_after=2)]

    assert heard == [f"{store._name} {kind_name(RenewalDone)}", "the end"]


def test_a_closed_store_listens_no_more(store: Store, elsewhere: Store) -> None:
    listening(store)

    store.close()

    assert [one.name for one in threading.enumerate() if one.name == "listen xuqi"] == []
    store.wait_for_change(store.changes, timedelta(0))
    assert [one.name for one in threading.enumerate() if one.name == "listen xuqi"] == []
