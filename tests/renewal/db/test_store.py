"""What the store keeps to on every database."""

from __future__ import annotations

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import pytest
import sqlalchemy as sa

from renewal.db import rows
from renewal.db.engine import Store, StoreUnavailableError
from renewal.db.identity_map import ConflictError
from renewal.delivery.inbox import Inbox
from renewal.errors import NotFoundError
from renewal.eventlog import queries
from renewal.ledger.ledger import ledger_of
from schema.codec import kind_name
from schema.events import Event, RenewalConfirmed, RenewalDone
from schema.reasons import DecisionKind, FeeReason
from schema.stored_reasons import read_reason
from schema.tables import books, log, people, renewals
from schema.tables.append_only import APPEND_ONLY
from tests.scenario.decisions import decide
from tests.scenario.stores import NOON, VAULT, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from renewal.db.unit_of_work import UnitOfWork

R = TypeVar("R", bound=rows.Row)
CANARY = "A123456789"
SOON = timedelta(seconds=60)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with opened(url) as store:
        yield store


@pytest.fixture
def elsewhere(url: str) -> Iterator[Store]:
    """The same database as another process has it."""
    with opened(url) as store:
        yield store


def row(kind: type[R], **named: object) -> R:
    """A row in which everything not named is of no interest."""
    plain: dict[Any, object] = {int: 0, str: "x", bytes: b"x", bool: False, datetime: NOON}
    fields = {field.name: plain.get(field.type) for field in msgspec.structs.fields(kind)}
    return kind(**{**fields, **named})


def customer(number: int, **named: object) -> rows.Customer:
    unique = dict.fromkeys(("reference_hash", "id_number_hash"), b"%d" % number)
    return row(rows.Customer, **{"id": number, "locale": "zh-TW", **unique, **named})


def certificate(number: int, **named: object) -> rows.Certificate:
    unique = {"slot": f"slot-{number}", "serial": f"{number:x}", "state": "active"}
    return row(rows.Certificate, id=number, **{**unique, **named})


def renewal(number: int, **named: object) -> rows.Renewal:
    of = {"certificate": 1, "customer": 1, "slot": "slot-1", "state": "requested"}
    return row(rows.Renewal, id=f"R1-{number}", **{**of, **named})


def put(store: Store, *given: rows.Customer | rows.Certificate | rows.Renewal) -> None:
    with store.transaction() as work:
        for one in given:
            shelf_of(work, one).put(one)


def shelf_of(work: UnitOfWork, one: object) -> Any:  # noqa: ANN401 - one of three
    names: dict[type, str] = {
        rows.Customer: "customers",
        rows.Certificate: "certificates",
        rows.Renewal: "renewals",
    }
    return getattr(work, names[type(one)])


EVENTS = [f"event-{n}" for n in range(500)]
NOTED = """
INSERT INTO inbox SELECT 'tests', 'event-' || n, 'settled', now() FROM generate_series(1, 20000) n
"""
POSTED = """
INSERT INTO accounts
  SELECT 'a' || n, 'asset', 'TWD', 0, 0, 0, true FROM generate_series(1, 2) n;
INSERT INTO transfers (id, kind, debit, credit, amount, of, ref, answer, why, at, nth)
  SELECT 'event-' || n, 'post', 'a1', 'a2', 1, 'of-' || n, 'r', 'ok', '', now(), 0
  FROM generate_series(1, 20000) n
"""


def noted(look: UnitOfWork) -> None:
    Inbox(look, "tests").load(EVENTS)


def posted(look: UnitOfWork) -> None:
    ledger_of(look).load_transfers(EVENTS)


@pytest.mark.postgresql
@pytest.mark.parametrize(("fill", "load"), [(NOTED, noted), (POSTED, posted)])
def test_each_key_is_looked_up_before_postgresql_knows_its_tables(
    copy: str, fill: str, load: Callable[[UnitOfWork], None]
) -> None:
    asked: list[tuple[str, Any]] = []
    with opened(copy) as store:
        with store.transaction() as work:  # which nobody analyses here
            for statement in fill.split(";"):
                work.connection.execute(sa.text(statement))
        with store.snapshot() as look:
            heard = "before_cursor_execute", lambda *told: asked.append(told[2:4])
            sa.event.listen(look.connection, *heard)
            load(look)
            sa.event.remove(look.connection, *heard)
            explain = look.connection.exec_driver_sql
            plans = [explain(f"EXPLAIN {sql}", values).scalars().all() for sql, values in asked]

    assert plans
    for plan in plans:
        assert not any("Seq Scan" in line for line in plan)
        (found,) = [line for line in plan if "Index Cond" in line]
        assert ".key" in found


BACKLOG = """
INSERT INTO events (topic, key, kind, identity, at, body)
  SELECT CASE n % 2 WHEN 0 THEN 'renewals' ELSE 'tokens' END, 'k', 'a kind', n, now(), 'x'
  FROM generate_series(1, 20000) n
"""


@pytest.mark.postgresql
@pytest.mark.parametrize("without", [(), ("a kind",)])
def test_no_more_of_a_backlog_is_read_than_a_page_before_postgresql_knows_its_tables(
    copy: str, without: tuple[str, ...]
) -> None:
    asked: list[tuple[str, Any]] = []
    with opened(copy) as store:
        with store.transaction() as work:
            work.connection.execute(sa.text(BACKLOG))
        with store.snapshot() as look:
            heard = "before_cursor_execute", lambda *told: asked.append(told[2:4])
            sa.event.listen(look.connection, *heard)
            queries.events_after(look, ("renewals", "tokens"), 7, 500, exclude=without)
            sa.event.remove(look.connection, *heard)
            explain = look.connection.exec_driver_sql
            plans = [explain(f"EXPLAIN {sql}", values).scalars().all() for sql, values in asked]

    assert len(plans) == (2 if without else 1)
    for plan in plans:
        assert not [line for line in plan if "Sort  (" in line or "Bitmap" in line]
        assert len([line for line in plan if "using ix_events_topic_seq" in line]) == 2


# --- transactions -------------------------------------------------------------------------------


def test_a_transaction_is_there_whole(store: Store, elsewhere: Store) -> None:
    with store.transaction() as work:
        work.customers.put(customer(1))
        decide(work, 1, "test", "done")
        work.emit(RenewalDone(renewal="R1-1"))

    assert count(elsewhere, people.customers, renewals.decisions, log.events) == [1, 1, 1]


def test_what_was_decided_is_kept_whatever_the_world_outside_has_given_as_its_reason(
    store: Store,
) -> None:
    with store.transaction() as work:
        said = FeeReason.BANK_DECLINED.why(detail="no\0 m\ud800ney" + "!" * 200)
        work.record_decision(1, DecisionKind.FEE_DECLINED, said)

    with store.snapshot() as look:
        (why,) = look.connection.scalars(sa.select(renewals.decisions.c.why))
    assert len(why) <= 200
    assert read_reason(why).code is FeeReason.BANK_DECLINED
    assert str(read_reason(why).parameters["detail"]).startswith("no\0 m?ney!")


def test_or_not_at_all(store: Store, elsewhere: Store) -> None:
    def fail(work: UnitOfWork) -> None:
        work.customers.put(customer(1))
        decide(work, 1, "test", "done")
        work.emit(RenewalDone(renewal="R1-1"))
        work.flush()
        raise KeyError

    with pytest.raises(KeyError), store.transaction() as work:
        fail(work)

    assert count(elsewhere, people.customers, renewals.decisions, log.events) == [0, 0, 0]


def test_a_transaction_that_cannot_be_written_is_not_there(store: Store, elsewhere: Store) -> None:
    def take_the_same(work: UnitOfWork) -> None:
        decide(work, 1, "test", "done")
        work.customers.put(customer(2, id_number_hash=b"1"))

    put(store, customer(1))

    with pytest.raises(ConflictError), store.transaction() as work:
        take_the_same(work)

    assert count(elsewhere, people.customers, renewals.decisions) == [1, 0]


def test_what_is_not_committed_is_seen_by_nobody(store: Store, elsewhere: Store) -> None:
    with store.transaction() as work:
        work.customers.put(customer(1))
        work.flush()
        seen = count(elsewhere, people.customers)

    assert seen == [0]
    assert count(elsewhere, people.customers) == [1]


def test_a_look_sees_one_moment(store: Store, elsewhere: Store) -> None:
    with store.snapshot() as look:
        before = look.customers.find(1)
        put(elsewhere, customer(1))
        look.customers.load((2,))
        after = look.connection.scalar(sa.select(sa.func.count()).select_from(people.customers))

    assert (before, after) == (None, 0)


def test_a_transaction_within_another_is_refused_at_once(tmp_path: Path) -> None:
    with (
        opened(f"sqlite:///{tmp_path}/one.db", make=True) as store,
        pytest.raises(RuntimeError, match="within another"),
        store.transaction(),
        store.transaction(),
    ):
        pass


def test_whoever_waits_wakes_with_the_next_change(store: Store) -> None:
    seen = store.changes
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(store.wait_for_change, seen, SOON)
        tell(store, RenewalDone(renewal="R1-1"))

        waiting.result(SOON.total_seconds() / 2)

    assert store.changes > seen


def test_who_waits_sleeps_through_what_it_has_no_use_for(store: Store) -> None:
    without = {kind_name(RenewalDone)}
    if store.engine.dialect.name == "postgresql":
        store.wait_for_change(store.changes, SOON)  # woken once when listening begins
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(store.wait_for_change, store.changes, SOON, exclude=without)
        put(store, customer(1))
        tell(store, RenewalDone(renewal="R1-1"))
        with pytest.raises(TimeoutError):
            waiting.result(0.5)
        tell(store, RenewalConfirmed(renewal="R1-2"))

        waiting.result(SOON.total_seconds() / 2)


def test_what_was_told_before_the_wait_began_is_not_slept_through(store: Store) -> None:
    seen = store.changes
    tell(store, RenewalConfirmed(renewal="R1-1"))
    tell(store, RenewalDone(renewal="R1-1"))

    began = time.monotonic()
    store.wait_for_change(seen, SOON, exclude={kind_name(RenewalDone)})

    assert time.monotonic() - began < SOON.total_seconds() / 2


def tell(store: Store, event: Event) -> None:
    with store.transaction() as work:
        work.emit(event)


def test_a_database_that_is_away_is_told_apart(url: str) -> None:
    gone = sa.make_url(url)
    # Neither a directory nor a database that was never made can be opened.
    gone = gone.set(database="/" if gone.get_backend_name() == "sqlite" else "gone")

    with (
        opened(gone.render_as_string(hide_password=False)) as store,
        pytest.raises(StoreUnavailableError, match="does not answer"),
        store.snapshot(),
    ):
        pass


# --- rows ---------------------------------------------------------------------------------------


def test_a_row_comes_back_as_it_was_put(store: Store) -> None:
    given = certificate(1, not_after=NOON, token_serial=None, der_sealed=b"\x00\xff")
    put(store, given)

    with store.snapshot() as look:
        assert look.certificates.get(1) == given


def test_columns_in_another_order_are_never_taken_for_a_row(store: Store) -> None:
    put(store, customer(1))
    backwards = sa.select(*reversed(people.customers.columns))

    with store.snapshot() as look, pytest.raises(TypeError, match="Customer has not the fields"):
        look.customers.read(backwards)


def test_rows_are_loaded_by_keys_with_or_without_a_row(store: Store) -> None:
    put(store, *(customer(number) for number in range(1, 1201)))

    with store.snapshot() as look:
        look.customers.load([None, *range(1100, 1300)])
        found = [number for number in range(1100, 1300) if look.customers.find(number)]

    assert found == list(range(1100, 1201))


def test_a_row_that_is_not_there_is_told_by_its_name(store: Store) -> None:
    with store.snapshot() as look, pytest.raises(NotFoundError, match=r"not_found .*7"):
        look.customers.get(7)


@pytest.mark.parametrize("number", [2**63, 2**64, 10**30])
def test_a_number_that_no_column_holds_is_nobodys(store: Store, number: int) -> None:
    with store.snapshot() as look, pytest.raises(NotFoundError):
        look.customers.get(number)
    with store.transaction() as work, pytest.raises(NotFoundError):
        work.customers.get(number)


def test_a_change_counts_the_version_once_a_transaction(store: Store) -> None:
    put(store, customer(1))

    with store.transaction() as work:
        once = work.customers.change(work.customers.get(1), locale="en")
        work.customers.change(once, opted_out=True)

    with store.snapshot() as look:
        assert look.customers.get(1) == customer(1, locale="en", opted_out=True, version=1)


def test_changes_of_different_fields_are_all_written(store: Store) -> None:
    put(store, *(customer(number) for number in (1, 2, 3)))

    with store.transaction() as work:
        work.customers.load((1, 2, 3))
        work.customers.change(work.customers.get(1), locale="en")
        work.customers.change(work.customers.get(2), opted_out=True)
        work.customers.change(work.customers.get(3), locale="fr")

    with store.snapshot() as look:
        found = [look.customers.get(number) for number in (1, 2, 3)]
    assert [(one.locale, one.opted_out) for one in found] == [
        ("en", False),
        ("zh-TW", True),
        ("fr", False),
    ]


@pytest.mark.parametrize("odd", [None, 0, 39])
def test_what_many_rows_share_is_written_to_each(store: Store, odd: int | None) -> None:
    given = [
        customer(number, mobile_bad=None if number == odd else "gone", locale="en")
        for number in range(40)
    ]
    put(store, *given)

    with store.transaction() as work:
        work.customers.load(range(40))
        for one in map(work.customers.get, range(40)):
            work.customers.change(one, mail_bad=None if one.id == odd else "full", locale="fr")

    with store.snapshot() as look:
        look.customers.load(range(40))
        found = [look.customers.get(number) for number in range(40)]
    assert found == [
        msgspec.structs.replace(
            one, mail_bad=None if one.id == odd else "full", locale="fr", version=1
        )
        for one in given
    ]


def test_a_row_that_is_put_may_be_changed_before_it_is_written(store: Store) -> None:
    with store.transaction() as work:
        work.customers.change(work.customers.put(customer(1)), locale="en")

    with store.snapshot() as look:
        assert look.customers.get(1) == customer(1, locale="en")


def test_a_row_may_be_changed_again_after_it_was_written(store: Store) -> None:
    put(store, customer(1))

    with store.transaction() as work:
        work.customers.change(work.customers.get(1), locale="en")
        work.flush()
        work.customers.change(work.customers.get(1), locale="fr")

    with store.snapshot() as look:
        assert look.customers.get(1) == customer(1, locale="fr", version=2)


def test_an_older_sight_of_a_row_cannot_be_changed(store: Store) -> None:
    put(store, customer(1))

    with store.transaction() as work:
        before = work.customers.get(1)
        work.customers.change(before, locale="en")

        with pytest.raises(ConflictError, match="customers 1 was changed by another transaction"):
            work.customers.change(before, locale="fr")


def test_of_two_who_change_one_row_the_second_is_refused(store: Store, elsewhere: Store) -> None:
    put(store, customer(1), customer(2))
    with elsewhere.snapshot() as look:
        before = look.customers.get(1)
    with store.transaction() as work:
        work.customers.change(work.customers.get(1), locale="en")

    def change_both(work: UnitOfWork) -> None:
        work.customers.change(work.customers.get(2), locale="fr")
        work.customers.change(work.customers.remember(before), locale="fr")

    with pytest.raises(ConflictError), elsewhere.transaction() as work:
        change_both(work)

    with store.snapshot() as look:
        assert [look.customers.get(number).locale for number in (1, 2)] == ["en", "zh-TW"]


def test_two_who_change_the_same_rows_in_either_order_both_get_on(
    store: Store, elsewhere: Store
) -> None:
    put(store, *(customer(number) for number in range(1, 51)))
    barrier = threading.Barrier(2)

    def change(where: Store, order: range) -> bool:
        barrier.wait()
        try:
            with where.transaction() as work:
                for number in order:
                    work.customers.change(work.customers.get(number), locale="en")
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor() as pool:
        first = pool.submit(change, store, range(1, 51))
        second = pool.submit(change, elsewhere, range(50, 0, -1))

        assert first.result() or second.result()


# --- keys ---------------------------------------------------------------------------------------


def test_keys_are_given_once_though_many_ask(store: Store, elsewhere: Store) -> None:
    def ask(where: Store) -> list[int]:
        with where.transaction() as work:
            ids = [*work.new_ids(people.customers, 3), *work.new_ids(people.customers, 2)]
            for number in ids:
                work.customers.put(customer(number))
        return ids

    with ThreadPoolExecutor(4) as pool:
        given = [number for ids in pool.map(ask, [store, elsewhere] * 10) for number in ids]

    assert len(set(given)) == len(given) == 100
    assert count(store, people.customers) == [100]


def test_a_new_file_that_another_process_holds_is_waited_for(
    sqlite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = sqlite3.connect(sa.make_url(sqlite).database or "")
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr("renewal.db.engine.time.sleep", lambda _: other.rollback())

    with opened(sqlite) as store:
        put(store, customer(1))

        assert count(store, people.customers) == [1]
    other.close()


def test_a_file_that_nobody_may_change_is_told_at_once(
    sqlite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("renewal.db.engine.time.sleep", waited.append)
    monkeypatch.setattr("renewal.db.engine.BUSY_TIMEOUT", 0.1)
    url = sqlite.replace("sqlite:///", "sqlite:///file:") + "?mode=ro&uri=true"

    with opened(url) as store, pytest.raises(StoreUnavailableError, match="readonly"):
        put(store, customer(1))

    assert waited == []


def test_keys_are_asked_for_once_for_a_whole_batch(store: Store) -> None:
    asked = []
    with store.transaction() as work:
        sa.event.listen(
            work.connection, "before_cursor_execute", lambda *told: asked.append(told[2])
        )
        work.will_need_ids(people.customers, 3)
        ids = [number for _ in range(3) for number in work.new_ids(people.customers, 1)]

    assert len(set(ids)) == 3
    assert len(asked) == 1


# --- rules that the database keeps --------------------------------------------------------------


@pytest.mark.parametrize("states", [("active", "active"), ("active", "suspended")])
def test_one_certificate_is_in_force_in_a_slot(store: Store, states: tuple[str, str]) -> None:
    put(store, customer(1), certificate(1, slot="A", state=states[0]))

    with pytest.raises(ConflictError):
        put(store, certificate(2, slot="A", state=states[1]))


@pytest.mark.parametrize("first", ["active", "superseded"])
def test_slots_change_hands_in_one_transaction(store: Store, first: str) -> None:
    pairs = [(1, 9), (8, 2), (3, 7)]
    for old, new in pairs:
        held = certificate(old, slot=f"{old}")
        put(store, held, certificate(new, slot=f"{old}", state="pending"))

    with store.transaction() as work:
        for pair in pairs:
            changes = zip(pair, ("superseded", "active"), strict=True)
            for number, state in sorted(changes, key=lambda change: change[1] != first):
                work.certificates.change(work.certificates.get(number), state=state)

    with store.snapshot() as look:
        states = [look.certificates.get(number).state for pair in pairs for number in pair]
    assert states == ["superseded", "active"] * 3


@pytest.mark.parametrize("state", ["pending", "superseded", "revoked", "expired"])
def test_any_number_of_others_may_be_in_it(store: Store, state: str) -> None:
    others = (certificate(number, slot="A", state=state) for number in (2, 3))

    put(store, certificate(1, slot="A"), *others)

    assert count(store, people.certificates) == [3]


def test_one_renewal_is_open_in_a_slot(store: Store) -> None:
    put(store, customer(1), certificate(1), renewal(1, state="done", spki_sha256=b"1"))
    put(store, renewal(2, state="issued", spki_sha256=b"2"))

    with pytest.raises(ConflictError):
        put(store, renewal(3, state="requested", spki_sha256=b"3"))


def test_a_key_is_used_once(store: Store) -> None:
    put(store, customer(1), certificate(1), renewal(1, state="done", spki_sha256=b"1"))

    with pytest.raises(ConflictError):
        put(store, renewal(2, spki_sha256=b"1"))


def test_a_state_that_is_none_is_refused(store: Store) -> None:
    with pytest.raises(ConflictError):
        put(store, certificate(1, state="lost"))


@pytest.mark.postgresql
def test_a_text_too_long_for_its_column_is_refused_and_never_cut(copy: str) -> None:
    with opened(copy) as store:
        with pytest.raises(sa.exc.DataError, match="too long"):
            put(store, customer(1, locale="zh-Hant-TW"))

        with pytest.raises(sa.exc.DataError, match="too long"):
            put(store, *(customer(number, locale="zh-Hant-TW") for number in range(40)))

        assert count(store, people.customers) == [0]


def test_what_a_row_refers_to_must_be_there(store: Store) -> None:
    with pytest.raises(ConflictError):
        put(store, renewal(1))


def test_a_refused_row_is_not_told(store: Store) -> None:
    with pytest.raises(ConflictError) as caught:
        put(store, certificate(1, state="lost", product=CANARY))

    assert CANARY not in str(caught.value)


APPENDED: dict[str, dict[str, object]] = {
    "transfers": {},
    "audit": {"id": 1, "at": NOON, "who": "x", "did": "x", "object": "x", "why": "x", "hash": b""},
    "decisions": {"certificate": 1, "at": NOON, "about": "x", "what": "x", "why": "x"},
}


WAYS = {
    "sqlite": ("UPDATE {0} SET {1} = {1}", "DELETE FROM {0}", "REPLACE INTO {0} SELECT * FROM {0}"),
    "postgresql": ("UPDATE {0} SET {1} = {1}", "DELETE FROM {0}", "TRUNCATE {0}"),
}


@pytest.mark.parametrize("table", APPEND_ONLY, ids=lambda table: table.name)
@pytest.mark.parametrize("way", range(3))
def test_what_was_written_down_for_good_cannot_be_changed(
    store: Store, table: sa.Table, way: int
) -> None:
    appended(store, table)
    column = next(iter(table.primary_key)).name
    statement = WAYS[store.engine.dialect.name][way].format(table.name, column)

    with pytest.raises(ConflictError, match="append-only"), store.transaction() as work:
        work.connection.exec_driver_sql(statement)

    assert count(store, table) == [1]


def appended(store: Store, table: sa.Table) -> None:
    with store.transaction() as work:
        if table is books.transfers:
            keep_transfer(work)
        else:
            work.connection.execute(sa.insert(table), APPENDED[table.name])


def keep_transfer(work: UnitOfWork) -> None:
    for name in ("a", "b"):
        account = filled(books.accounts, id=name, kind="asset", currency="TWD")
        work.connection.execute(sa.insert(books.accounts), account)
    of = {"debit": "a", "credit": "b", "kind": "direct", "answer": "ok", "amount": 1}
    work.connection.execute(sa.insert(books.transfers), filled(books.transfers, **of))


def filled(table: sa.Table, **named: object) -> dict[str, object]:
    plain = {int: 0, str: "x", bytes: b"x", bool: False}
    columns = [column for column in table.columns if not column.nullable]
    return {column.name: plain.get(column.type.python_type, NOON) for column in columns} | named


# --- times --------------------------------------------------------------------------------------


def test_times_come_back_in_utc(store: Store) -> None:
    taipei = datetime(2026, 11, 23, 23, 59, 59, 123456, tzinfo=timezone(timedelta(hours=8)))
    put(store, certificate(1, not_after=taipei))

    with store.snapshot() as look:
        found = look.certificates.get(1).not_after

    assert found == taipei
    assert found.utcoffset() == timedelta(0)
    assert found.tzinfo is UTC


@pytest.mark.postgresql
@pytest.mark.parametrize("zone", ["Asia/Taipei", "America/New_York"])
def test_no_end_is_read_whatever_zone_the_server_is_in(copy: str, zone: str) -> None:
    # RFC 5280, 4.1.2.5: 99991231235959Z is a certificate's "no well-defined end".
    first, last = datetime.min.replace(tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)

    with opened(f"{copy}&options=-c timezone%3D{zone}") as store:
        put(store, certificate(1, not_before=first, not_after=last))
        with store.snapshot() as look:
            found = look.certificates.get(1)

    assert (found.not_before, found.not_after) == (first, last)


@pytest.mark.postgresql
def test_rows_come_as_postgresql_keeps_them_and_not_as_texts(copy: str) -> None:
    with opened(copy) as store:
        put(store, certificate(1))
        with store.snapshot() as look:
            told = look.connection.execute(sa.select(people.certificates)).cursor
            forms = {told.pgresult.fformat(column) for column in range(len(told.description))}

    assert forms == {1}  # as text, moments and bytes are made and read again


def test_a_time_without_its_zone_is_refused(store: Store) -> None:
    naive = NOON.replace(tzinfo=None)

    with pytest.raises(ValueError, match="has no time zone"):
        put(store, certificate(1, not_after=naive))
    with pytest.raises(ValueError, match="has no time zone"):
        put(store, *(certificate(number, not_after=naive) for number in range(40)))

    assert count(store, people.certificates) == [0]


def test_times_are_compared_as_moments(store: Store) -> None:
    taipei = timezone(timedelta(hours=8))
    put(store, certificate(1, not_after=NOON))
    c = people.certificates.c

    with store.snapshot() as look:
        until = sa.select(c.id).where(c.not_after <= NOON.astimezone(taipei))
        before = sa.select(c.id).where(c.not_after < NOON.astimezone(taipei))

        assert look.connection.scalars(until).all() == [1]
        assert look.connection.scalars(before).all() == []


# --- personal data ------------------------------------------------------------------------------


def test_sealed_columns_are_sealed_on_disk_and_open_with_their_key(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path}/store.db", make=True) as store:
        sealed = {"id_number_sealed": VAULT.seal(CANARY, "customers.id_number")}
        hashed = {"id_number_hash": VAULT.hash(CANARY, "customers.id_number")}
        put(store, customer(1, **sealed, **hashed, reference_hash=b"\xaa" * 32))
        with store.snapshot() as look:
            found = look.customers.get(1)
        on_disk = b"".join(file.read_bytes() for file in tmp_path.glob("store.db*"))

    assert b"\xaa" * 32 in on_disk
    assert CANARY.encode() not in on_disk
    assert VAULT.open_text(found.id_number_sealed, "customers.id_number") == CANARY


def count(store: Store, *tables: sa.Table) -> list[int]:
    with store.snapshot() as look:
        query = sa.select(sa.func.count())
        return [look.connection.scalar(query.select_from(table)) or 0 for table in tables]
