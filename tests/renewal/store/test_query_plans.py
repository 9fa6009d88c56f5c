"""What is asked often is answered from an index, however long its table has grown."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from renewal.delivery import dead_letters, inbox
from renewal.delivery.dead_letters import LetterFilter
from renewal.eventlog import queries
from renewal.store import (
    certificates,
    console,
    messages,
    people,
    renewals,
    runs,
    tasks,
    tokens,
)
from schema.states import TaskState
from tests.scenario.stores import NOON, opened, sqlite_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from renewal.db.engine import Store
    from renewal.db.unit_of_work import UnitOfWork

    Query = Callable[[UnitOfWork], object]

WINDOW: dict[str, Any] = {
    "since": NOON - timedelta(days=30),
    "until": NOON + timedelta(days=30),
    "after": None,
    "at_most": 500,
}
ALL_CERTIFICATES: dict[str, Any] = {
    "product": None, "state": None, "customer": None, "until": None, "after": 7, "at_most": 51,
}  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with opened(sqlite_url(tmp_path), make=True) as store:
        yield store


def plan(store: Store, query: Query) -> list[str]:
    """How SQLite goes about each step of what the query asks."""
    asked: list[tuple[str, Any]] = []
    with store.snapshot() as look:
        sa.event.listen(
            look.connection,
            "before_cursor_execute",
            lambda _connection, _cursor, sql, values, *_: asked.append((sql, values)),
        )
        query(look)
        sql, values = asked[0]
        steps = look.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)
        return [str(step.detail) for step in steps]


INDEXED: dict[str, tuple[str, Query]] = {
    "the next events of a topic": (
        "events USING INDEX ix_events_topic_seq (topic=? AND seq>?)",
        lambda look: queries.events_after(look, ("renewals",), 7, 500),
    ),
    "the next events of several topics": (
        "events USING INDEX ix_events_topic_seq (topic=? AND seq>?)",
        lambda look: queries.events_after(look, ("renewals", "tokens"), 7, 500),
    ),
    "the newest events": ("SCAN events", lambda look: queries.newest(look, 20)),
    "what is due of the parked": (
        "parked USING INDEX ix_parked_consumer_due (consumer=? AND due",
        lambda look: inbox.due(look, "tests", 500),
    ),
    "when the next of the parked is due": (
        "parked USING COVERING INDEX ix_parked_consumer_due (consumer=?",
        lambda look: inbox.next_due(look, "tests"),
    ),
    "keys that wait": (
        "parked USING COVERING INDEX ix_parked_consumer_key (consumer=? AND key=?",
        lambda look: inbox.Inbox(look, "tests").blocked_keys(["1", "2"]),
    ),
    "states of events": (
        "inbox USING PRIMARY KEY (consumer=? AND identity=?",
        lambda look: inbox.Inbox(look, "tests").load(["a", "b"]),
    ),
    "what was paid and is not used": (
        "payments USING INDEX ix_payments_paid",
        lambda look: renewals.paid_for_what_has_ended(look, "", 500),
    ),
    "which renewals were paid before": (
        "payments USING INDEX sqlite_autoindex_payments_2 (renewal=?)",
        lambda look: renewals.entitled(look, ["R1", "R2"]),
    ),
    "the next page of dead letters": (
        "dead_letters USING INTEGER PRIMARY KEY (rowid>?)",
        lambda look: dead_letters.list_open(look, after=7),
    ),
    "a page of messages": (
        "messages USING INDEX ix_messages_owed_at",
        lambda look: console.messages_page(look, state=None, kind=None, before="", at_most=51),
    ),
    "a page of messages of one state": (
        "messages USING INDEX ix_messages_owed_at",
        lambda look: console.messages_page(
            look, state="claimed", kind=None, before=f"{NOON.isoformat()} M1", at_most=51
        ),
    ),
    "messages of the last day": (
        "messages USING INDEX ix_messages_owed_at (owed_at>?)",
        lambda look: messages.reminded_since(look, NOON),
    ),
    "what ends in each week": (
        "certificates USING COVERING INDEX ix_certificates_to_leave_sqlite",
        lambda look: console.expiring_by_week(look, WINDOW["since"], WINDOW["until"]),
    ),
    "a page of certificates": (
        "certificates USING INTEGER PRIMARY KEY (rowid>?)",
        lambda look: console.certificates_page(look, **ALL_CERTIFICATES),
    ),
    "a customer's certificates": (
        "certificates USING INDEX ix_certificates_customer (customer=?",
        lambda look: console.certificates_page(look, **(ALL_CERTIFICATES | {"customer": 7})),
    ),
    "dead letters of one consumer": (
        "dead_letters USING INDEX ix_dead_letters_open (consumer=? AND id>?)",
        lambda look: dead_letters.list_open(look, after=7, chosen=LetterFilter(consumer="billing")),
    ),
    "how many dead letters there are": (
        "dead_letters USING INDEX ix_dead_letters_open",
        lambda look: dead_letters.count(look, LetterFilter()),
    ),
    "addresses that rest": (
        "customers USING INDEX ix_customers_resting (id>?)",
        lambda look: people.with_resting_address(look, after=7, at_most=51),
    ),
    "the trail": (
        "SCAN audit",
        lambda look: console.audit_page(look, who=None, before=None, at_most=51),
    ),
    "the trail of one person": (
        "audit USING INDEX ix_audit_who (who=? AND id<?)",
        lambda look: console.audit_page(look, who="lin", before=7, at_most=51),
    ),
    "one act on the trail": (
        "audit USING INDEX ix_audit_did (did=?",
        lambda look: console.audit_page(look, who=None, did="find", before=None, at_most=51),
    ),
    "a page of tokens": (
        "tokens USING INDEX sqlite_autoindex_tokens_1 (serial>?)",
        lambda look: tokens.listed(look, state=None, after="0a"),
    ),
    "a page of tasks": (
        "tasks USING INTEGER PRIMARY KEY (rowid>?)",
        lambda look: tasks.listed(look, state=TaskState.OPEN, after=7),
    ),
    "a page of runs": (
        "runs USING INTEGER PRIMARY KEY (rowid<?)",
        lambda look: runs.listed(look, before=7),
    ),
    "a page of a run's items": (
        "run_items USING INDEX sqlite_autoindex_run_items_1 (run=? AND number>?)",
        lambda look: runs.items(look, 1, after=7),
    ),
    "a page of renewals": (
        "renewals USING INDEX sqlite_autoindex_renewals_1 (id>?)",
        lambda look: renewals.listed(look, state=None, after="R1", at_most=51),
    ),
    "certificates to announce": (
        "certificates USING COVERING INDEX ix_certificates_to_announce_sqlite (product=? AND",
        lambda look: certificates.not_yet_announced(look, "a-product", **WINDOW),
    ),
    "certificates to leave": (
        "certificates USING COVERING INDEX ix_certificates_to_leave_sqlite (product=? AND",
        lambda look: certificates.left_unrenewed(look, "a-product", **WINDOW),
    ),
    "certificates to remind of": (
        "certificates USING COVERING INDEX ix_certificates_to_remind_sqlite (remind_at>? AND",
        lambda look: certificates.to_remind(look, 500),
    ),
}


@pytest.mark.parametrize("what", INDEXED)
def test_an_index_answers(store: Store, what: str) -> None:
    index, query = INDEXED[what]

    found = plan(store, query)

    assert any(index in step for step in found), found
    # Sorting is allowed where a few pages are merged or counts are grouped, and nowhere over a
    # whole table.
    merged = "topics" in what or "each week" in what
    assert not [step for step in found if "TEMP B-TREE" in step and not merged]
