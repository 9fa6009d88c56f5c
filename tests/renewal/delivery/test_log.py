"""What delivery makes of a log that tells things twice, and what it tells the log."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from renewal.db.engine import StoreUnavailableError
from renewal.eventlog.port import LogUnavailableError
from tests.renewal.delivery.scripted import (
    BUSY,
    Acting,
    Asking,
    Listed,
    PowerCut,
    Sql,
    answer,
    asked,
    delivery,
    effects,
    end,
    pass_time,
    position,
    record,
    run,
    states,
    tell,
    waiting,
)
from tests.scenario.stores import opened

if TYPE_CHECKING:
    from renewal.db.engine import Store
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.outcome import Outcome
    from tests.renewal.delivery.scripted import Order

KINDS = [Sql, Acting, Asking]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at_most", [1, 2, 500])
def test_a_fact_told_twice_has_one_effect(store: Store, kind: type[Sql], at_most: int) -> None:
    twice = [record(asked(1)), record(asked(1)), record(asked(2)), record(asked(1))]

    run(delivery(kind(), store, Listed(twice), at_most=at_most))

    assert effects(store) == [(1, 1), (2, 1)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at_most", [1, 2, 500])
def test_a_fact_told_twice_waits_once(store: Store, kind: type[Sql], at_most: int) -> None:
    twice = [record(asked(1, number)) for number in (1, 2, 1, 2)]
    consumer = kind(script={(1, 1): [BUSY]})
    running = delivery(consumer, store, Listed(twice), at_most=at_most)

    run(running)
    at_first = waiting(store)
    run(running, rounds=2)

    assert at_first == ["1:1", "1:2"]
    assert effects(store) == [(1, 1), (1, 2)]


@pytest.mark.parametrize("kind", KINDS)
def test_everything_told_again_from_the_beginning_has_no_effect(
    store: Store, kind: type[Sql]
) -> None:
    told = [record(asked(key, number)) for number in (1, 2) for key in (1, 2)]
    run(delivery(kind(script={(1, 1): [BUSY]}), store, Listed(told)))

    run(delivery(kind(), store, Listed(told)), rounds=2)

    assert sorted(effects(store)) == [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_a_failing_commit_of_the_offset_is_harmless(store: Store) -> None:
    reader = Listed([record(asked(1))], failing=LogUnavailableError("the broker is away"))
    running = delivery(Sql(), store, reader)

    running.run_once()
    running.run_once()
    reader.failing = None
    run(running)

    assert effects(store) == [(1, 1)]
    assert reader.position == 1


def test_the_offset_is_noted_once_everything_before_it_is_dealt_with(store: Store) -> None:
    running = delivery(Sql(script={(2, 1): [BUSY]}), store, at_most=2)
    tell(store, asked(1), asked(2), asked(3))

    run(running)

    assert position(store) == end(store)
    assert waiting(store) == ["2:1"]


def test_the_offset_does_not_pass_what_is_still_held(store: Store) -> None:
    def cut(point: str) -> None:
        if point == "before the call" and consumer.world:
            raise PowerCut

    consumer = Acting()
    tell(store, asked(1, 1), asked(1, 2))

    with pytest.raises(PowerCut):
        run(delivery(consumer, store, probe=cut))

    assert position(store) == 0
    assert states(store) == {"1:1": "settled", "1:2": "begun"}


def test_a_topic_full_of_others_kinds_is_passed_with_few_writes(store: Store) -> None:
    tell(store, *(answer(asked(key)) for key in range(100)))
    running = delivery(Sql(), store, at_most=10)
    before = store.changes

    run(running)

    assert position(store) == 100
    assert store.changes - before == 1


def test_a_long_topic_of_others_kinds_is_not_read_again_from_its_beginning(store: Store) -> None:
    tell(store, *(answer(asked(key)) for key in range(40)))
    running = delivery(Sql(), store, at_most=1)

    for _ in range(30):
        running.run_once()

    assert position(store) > 0


def test_two_events_of_a_key_in_one_batch_are_carried_out_one_after_another(store: Store) -> None:
    class Watching(Acting):
        def carry_out(self, order: Order) -> object:
            seen.append(effects(store))
            return super().carry_out(order)

    seen: list[list[tuple[int, int]]] = []
    tell(store, asked(1, 1), asked(1, 2))

    run(delivery(Watching(), store))

    assert seen == [[], [(1, 1)]]


def test_the_database_away_after_the_call_calls_nothing_twice(store: Store) -> None:
    class Unlucky(Acting):
        failures = 2

        def conclude(self, order: Order, answer_: str, work: UnitOfWork) -> Outcome:
            if self.failures:
                self.failures -= 1
                raise StoreUnavailableError("disk full")
            return super().conclude(order, answer_, work)

    consumer = Unlucky()
    running = delivery(consumer, store)
    tell(store, asked(1), asked(2))

    for _ in range(2):
        with pytest.raises(StoreUnavailableError):
            running.run_once()
    run(running)

    assert consumer.world == [asked(1), asked(2)]
    assert effects(store) == [(1, 1), (2, 1)]


def test_two_processes_do_not_both_deliver_what_waits(store: Store) -> None:
    """While the first carries it out, the second looks for what is due."""

    class Slow(Acting):
        def carry_out(self, order: Order) -> object:
            if self.attempts.total() == 1:
                run(delivery(other, elsewhere, Listed([])))
            return super().carry_out(order)

    other = Acting()
    consumer = Slow(script={(1, 1): [BUSY]})
    running = delivery(consumer, store)
    tell(store, asked(1))
    run(running)
    pass_time(store)
    with opened(str(store.engine.url)) as elsewhere:
        pass_time(elsewhere)
        pass_time(elsewhere)

        run(running)

    assert other.orders == []
    assert consumer.world == [asked(1)]


def test_what_waits_is_taken_over_when_its_process_is_gone(store: Store) -> None:
    def cut(point: str) -> None:
        if point == "before the call":
            raise PowerCut

    with suppress(PowerCut):
        tell(store, asked(1))
        first = delivery(Asking(script={(1, 1): [BUSY]}), store, Listed([record(asked(1))]))
        run(first)
        pass_time(store)
        first.probe = cut
        run(first)
    consumer = Asking()

    run(delivery(consumer, store, Listed([])))

    assert [order.again for order in consumer.orders] == [True]
    assert effects(store) == [(1, 1)]


def test_an_ended_event_that_still_waits_frees_the_next(store: Store) -> None:
    """As a restored backup may leave it."""
    running = delivery(Sql(script={(1, 1): [BUSY]}), store)
    tell(store, asked(1, 1), asked(1, 2))
    run(running)
    with store.transaction() as work:
        ended = "UPDATE inbox SET state = 'settled' WHERE identity LIKE '%:1:1'"
        work.connection.execute(sa.text(ended))

    run(running, rounds=2)

    assert effects(store) == [(1, 2)]
    assert waiting(store) == []
