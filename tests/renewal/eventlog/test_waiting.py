"""Of what waits, the next of each key comes forward, on every database."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from renewal.delivery.inbox import Inbox, InboxItem
from schema.reasons import OutcomeReason, StatedReason
from schema.tables.log import dead_letters, parked
from tests.renewal.delivery.scripted import asked, record, rows
from tests.scenario.stores import NOON, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from renewal.db.engine import Store
    from renewal.eventlog.port import Record

LATER = NOON + timedelta(hours=1)
A, B, C, D = range(4)  #: keys
FOREIGN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with opened(url) as store:
        yield store


BUSY = StatedReason.NOTE.why(note="busy")


def park(store: Store, consumer: str, *waiting: tuple[int, int, datetime | None]) -> None:
    """Key, number, and until when; none: behind an earlier one."""
    with store.transaction() as work:
        inbox = Inbox(work, consumer)
        for key, number, due in waiting:
            inbox.park(InboxItem(record=record(asked(key, number))), due=due, tries=1, why=BUSY)
        inbox.flush()


def item(store: Store, key: int, number: int) -> InboxItem:
    """As it waits for the consumer of these tests."""
    mine = (parked.c.consumer == "tests", parked.c.identity == asked(key, number).identity)
    ((row, tries),) = rows(store, sa.select(parked.c.id, parked.c.tries).where(*mine))
    return InboxItem(record=record(asked(key, number)), parked=row, tries=tries)


def times(store: Store, consumer: str) -> dict[str, Any]:
    """When each is due, in the order in which they wait."""
    query = sa.select(parked.c.identity, parked.c.due).where(parked.c.consumer == consumer)
    found = rows(store, query.order_by(parked.c.id))
    return {identity.split(":", 1)[1]: due for identity, due in found}


def test_the_next_of_each_key_is_due_now_and_no_other(store: Store) -> None:
    park(store, "others", (A, 1, NOON), (A, 2, None))
    behind = [(A, 3, None), (A, 4, None), (B, 2, None), (C, 2, LATER), (D, 2, None)]
    park(store, "tests", *((key, 1, NOON) for key in (A, B, C, D)), (A, 2, NOON), *behind)
    ended = [item(store, *which) for which in ((A, 2), (B, 1), (A, 1), (C, 1))]

    with store.transaction() as work:
        now, inbox = work.at, Inbox(work, "tests")
        for one in ended:
            inbox.unpark(one)
        inbox.flush()

    assert times(store, "tests") == {
        "3:1": NOON,
        "0:3": now,
        "0:4": None,
        "1:2": now,
        "2:2": LATER,
        "3:2": None,
    }
    assert times(store, "others") == {"0:1": NOON, "0:2": None}


def test_one_that_comes_in_the_transaction_in_which_the_last_ends_comes_forward(
    store: Store,
) -> None:
    park(store, "tests", (A, 1, NOON))
    last = item(store, A, 1)

    with store.transaction() as work:
        now, inbox = work.at, Inbox(work, "tests")
        inbox.unpark(last)
        inbox.park(
            InboxItem(record=record(asked(A, 2))),
            due=None,
            tries=0,
            why=OutcomeReason.BLOCKED_ON_KEY.why(),
        )
        inbox.flush()

    assert times(store, "tests") == {"0:2": now}


def test_each_that_waits_again_has_its_own_time_tries_and_reason(store: Store) -> None:
    park(store, "tests", (A, 1, NOON), (B, 1, NOON), (C, 1, NOON))
    first, second = item(store, A, 1), item(store, B, 1)

    with store.transaction() as work:
        inbox = Inbox(work, "tests")
        inbox.park(second, due=None, tries=2, why=StatedReason.NOTE.why(note="no\0pe\ud800"))
        inbox.park(first, due=LATER, tries=3, why=StatedReason.NOTE.why(note="x" * 400))
        inbox.flush()

    query = sa.select(parked.c.due, parked.c.tries, parked.c.why).order_by(parked.c.id)
    cut = StatedReason.NOTE.why(note="x" * 400).stored(300)
    assert rows(store, query) == [
        (LATER, 3, cut),
        (None, 2, 'note {"note": "no\\u0000pe?"}'),
        (NOON, 1, BUSY.stored()),
    ]
    assert len(cut) <= 300


def test_what_is_given_up_is_kept_as_it_came(store: Store) -> None:
    came = [record(asked(A), traceparent=FOREIGN), record(asked(B), body=b"\xff no event")]

    with store.transaction() as work:
        now, inbox = work.at, Inbox(work, "tests")
        for tries, one in enumerate(came):
            inbox.add_dead_letter(InboxItem(record=one), BUSY, tries=tries)
        inbox.flush()

    found = rows(store, sa.select(dead_letters).order_by(dead_letters.c.id))
    assert [row[1:] for row in found] == [
        (*_event(it), tries, BUSY.stored(), now, "open", it.traceparent)
        for tries, it in enumerate(came)
    ]


def _event(it: Record) -> tuple[object, ...]:
    return ("tests", it.identity, it.topic, it.key, it.kind, it.at, it.body)


@pytest.mark.postgresql
def test_postgresql_looks_for_the_next_of_each_key_before_it_knows_its_tables(copy: str) -> None:
    told: list[tuple[str, Any]] = []
    with opened(copy) as store:
        park(store, "tests", *((key, 1, None) for key in range(20_000)))  # nobody analyses it
        ended = [InboxItem(record=record(asked(key)), parked=key + 1) for key in range(500)]
        with store.transaction() as work:
            sa.event.listen(
                work.connection, "before_cursor_execute", lambda *it: told.append(it[2:4])
            )
            inbox = Inbox(work, "tests")
            for one in ended:
                inbox.unpark(one)
            inbox.flush()
            sql, values = told[-1]
            plan = work.connection.exec_driver_sql(f"EXPLAIN {sql}", values).scalars().all()

    found = [step for step in plan if " Cond" in step]
    assert not [step for step in plan if "Seq Scan" in step]
    assert len(found) > 1
    assert all("id = " in step or "key = " in step for step in found), found
