"""What was given up is seen, mended and sent again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from renewal.delivery import dead_letters
from renewal.errors import XuqiError
from renewal.outcome import Reject
from schema.codec import encode
from schema.reasons import SuppressionReason
from tests.renewal.delivery.scripted import (
    BUSY,
    Acting,
    Asking,
    Listed,
    Sql,
    asked,
    dead,
    delivery,
    effects,
    record,
    run,
    states,
    tell,
    waiting,
)

if TYPE_CHECKING:
    from renewal.db.engine import Store

NO = Reject(SuppressionReason.NO_CUSTOMER.why())


def test_it_is_listed_with_its_reason_until_it_is_sent_again(store: Store) -> None:
    tell(store, asked(1), asked(2))
    run(delivery(Sql(script={(1, 1): [NO], (2, 1): [NO]}), store))

    with store.snapshot() as look:
        first, second = dead_letters.list_open(look)
        counted = dead_letters.count_open(look)
        rest = dead_letters.list_open(look, after=first.id, at_most=1)
    with store.transaction() as work:
        dead_letters.replay(work, first.id)

    assert (first.consumer, first.identity, first.why) == (
        "tests",
        asked(1).identity,
        NO.why.stored(),
    )
    assert counted == {"tests": 2}
    assert rest == [second]
    with store.snapshot() as look:
        assert dead_letters.list_open(look, consumer="tests") == [second]


@pytest.mark.parametrize("kind", [Sql, Acting, Asking])
def test_what_is_sent_again_is_done(store: Store, kind: type[Sql]) -> None:
    running = delivery(kind(script={(1, 1): [NO]}), store)
    tell(store, asked(1))
    run(running)

    with store.transaction() as work:
        dead_letters.replay(work, 1)
    run(running)

    assert effects(store) == [(1, 1)]
    assert states(store)["1:1"] == "settled"


def test_who_asks_finds_out_first_what_was_done_before_it_died(store: Store) -> None:
    consumer = Asking(conclusions={(1, 1): [KeyError("bug")]})
    running = delivery(consumer, store)
    tell(store, asked(1))
    run(running)

    with store.transaction() as work:
        dead_letters.replay(work, 1)
    run(running)

    assert [order.again for order in consumer.orders] == [False, True]
    assert consumer.world == [asked(1)]
    assert effects(store) == [(1, 1)]


def test_it_goes_behind_what_waits_of_its_key(store: Store) -> None:
    running = delivery(Acting(script={(1, 1): [NO], (1, 2): [BUSY]}), store)
    tell(store, asked(1, 1), asked(1, 2))
    run(running)

    with store.transaction() as work:
        dead_letters.replay(work, 1)
    run(running, rounds=2)

    assert effects(store) == [(1, 2), (1, 1)]
    assert waiting(store) == []


def test_it_may_die_again(store: Store) -> None:
    running = delivery(Acting(script={(1, 1): [NO, NO]}), store)
    tell(store, asked(1))
    run(running)

    with store.transaction() as work:
        dead_letters.replay(work, 1)
    run(running)

    with store.snapshot() as look:
        assert [letter.id for letter in dead_letters.list_open(look)] == [2]


def test_a_mended_body_is_done_under_the_same_identity(store: Store) -> None:
    poison = record(asked(1), body=b"{", identity="poison", kind="nobody knows it")
    running = delivery(Acting(), store, Listed([poison]))
    run(running)

    with store.transaction() as work:
        dead_letters.edit(work, 1, encode(asked(1)))
    run(running)

    assert effects(store) == [(1, 1)]
    assert states(store) == {"poison": "settled"}


def test_a_mended_body_that_is_no_event_is_refused_with_the_reason(store: Store) -> None:
    run(delivery(Acting(), store, Listed([record(asked(1), body=b"{")])))

    with (
        pytest.raises(XuqiError, match=r"dead letter 1: Expected `object`"),
        store.transaction() as work,
    ):
        dead_letters.edit(work, 1, b"[")

    assert len(dead(store)) == 1
    assert waiting(store) == []


@pytest.mark.parametrize("number", [1, 7])
def test_it_is_sent_again_once_and_only_if_it_is_there(store: Store, number: int) -> None:
    tell(store, asked(1))
    run(delivery(Acting(script={(1, 1): [NO]}), store))
    with store.transaction() as work:
        dead_letters.replay(work, 1)

    with (
        pytest.raises(XuqiError, match=f"no open dead letter {number}"),
        store.transaction() as work,
    ):
        dead_letters.replay(work, number)

    assert waiting(store) == ["1:1"]
