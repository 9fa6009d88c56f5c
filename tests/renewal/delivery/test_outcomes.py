"""What delivery makes of each answer of a consumer."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from renewal.delivery import MAX_TRIES
from renewal.delivery.settlement import MAX_TRIES_IN_OUTAGE
from renewal.delivery.worker_pool import START_DEADLINE
from renewal.errors import GatewayRefusedError, GatewayUnavailableError, GatewayUnsureError
from renewal.eventlog.embedded import EmbeddedLog
from renewal.outcome import Reject, Retry
from schema.events import Topic
from schema.reasons import DeferralReason, SuppressionReason
from schema.tables.log import parked
from tests.renewal.delivery.scripted import (
    BUSY,
    Acting,
    Asking,
    Script,
    Sql,
    answer,
    asked,
    dead,
    delivery,
    effects,
    pass_time,
    run,
    states,
    tell,
    tries_spent,
    waiting,
)

if TYPE_CHECKING:
    from renewal.db.engine import Store

NOT_RECORDED = "it was carried out, but could not be recorded"
WAITS_AS_PLANNED = Retry(timedelta(hours=1), DeferralReason.QUIET_HOURS.why(), spends_a_try=False)
CONSUMERS = [Sql, Acting, Asking]


@pytest.mark.parametrize("kind", CONSUMERS)
def test_done_leaves_its_effect_and_its_events_once(store: Store, kind: type[Sql]) -> None:
    tell(store, asked(1), asked(2))

    run(delivery(kind(), store), rounds=2)

    assert effects(store) == [(1, 1), (2, 1)]
    assert states(store) == {"1:1": "settled", "2:1": "settled"}
    told = EmbeddedLog(store).reader("others", (Topic.CERTIFICATES.value,)).poll(9, timedelta(0))
    assert [it.identity for it in told[2:]] == [
        answer(asked(1)).identity,
        answer(asked(2)).identity,
    ]


@pytest.mark.parametrize("kind", CONSUMERS)
def test_a_retry_parks_the_event_and_later_ones_of_its_key_and_no_other(
    store: Store, kind: type[Sql]
) -> None:
    tell(store, asked(1, 1), asked(2, 1), asked(1, 2), asked(2, 2))

    run(delivery(kind(script={(1, 1): [BUSY]}), store))

    assert effects(store) == [(2, 1), (2, 2)]
    assert waiting(store) == ["1:1", "1:2"]


@pytest.mark.parametrize("kind", CONSUMERS)
def test_what_waits_is_freed_in_order(store: Store, kind: type[Sql]) -> None:
    running = delivery(kind(script={(1, 1): [BUSY], (1, 2): [BUSY]}), store)
    tell(store, asked(1, 1), asked(1, 2))
    run(running)
    tell(store, asked(1, 3))

    run(running, rounds=4)

    assert effects(store) == [(1, 1), (1, 2), (1, 3)]
    assert waiting(store) == []


def test_an_event_waits_until_its_time_and_no_longer(store: Store) -> None:
    running = delivery(Sql(script={(1, 1): [WAITS_AS_PLANNED]}), store)
    tell(store, asked(1))
    run(running)

    pass_time(store, WAITS_AS_PLANNED.after - timedelta(seconds=1))
    run(running)
    early = effects(store)
    pass_time(store, timedelta(seconds=1))
    run(running)

    assert early == []
    assert effects(store) == [(1, 1)]


@pytest.mark.parametrize("kind", CONSUMERS)
def test_a_reject_is_a_dead_letter_and_later_ones_of_its_key_go_on(
    store: Store, kind: type[Sql]
) -> None:
    tell(store, asked(1, 1), asked(1, 2))

    run(delivery(kind(script={(1, 1): [Reject(SuppressionReason.NO_CUSTOMER.why())]}), store))

    assert dead(store) == {"1:1": "no customer is known for it"}
    assert states(store)["1:1"] == "dead"
    assert effects(store) == [(1, 2)]


@pytest.mark.parametrize("kind", CONSUMERS)
def test_after_too_many_tries_it_is_a_dead_letter(store: Store, kind: type[Sql]) -> None:
    consumer = kind(script={(1, 1): [BUSY] * MAX_TRIES})
    tell(store, asked(1, 1), asked(1, 2))

    run(delivery(consumer, store), rounds=MAX_TRIES + 1)

    assert dead(store) == {"1:1": "busy"}
    assert tries_spent(store) == [MAX_TRIES]
    assert consumer.attempts[1, 1] == MAX_TRIES
    assert effects(store) == [(1, 2)]


def test_an_outage_of_a_night_kills_no_event(store: Store) -> None:
    away = [GatewayUnavailableError("down")] * (3 * MAX_TRIES)
    consumer = Acting(script={(1, 1): away})
    tell(store, asked(1))

    run(delivery(consumer, store), rounds=len(away) + 1)

    assert consumer.world == [asked(1)]
    assert dead(store) == {}


@pytest.mark.parametrize("nights", [MAX_TRIES - 1, MAX_TRIES, MAX_TRIES_IN_OUTAGE - 1])
def test_what_an_outage_used_up_is_not_held_against_an_event_afterwards(
    store: Store, nights: int
) -> None:
    away = [GatewayUnavailableError("down")] * nights
    lost = [GatewayUnsureError("lost")] * (MAX_TRIES - 1)
    tell(store, asked(1), asked(2))
    consumer = Acting(script={(1, 1): [*away, *lost], (2, 1): [*away, *lost, *lost[:1]]})

    run(delivery(consumer, store), rounds=nights + MAX_TRIES + 1)

    assert consumer.world == [asked(1)]
    assert dead(store) == {"2:1": "it is not known whether it was done: lost"}
    assert tries_spent(store) == [nights + MAX_TRIES]


def test_tries_of_an_older_program_are_not_held_against_an_event(store: Store) -> None:
    """It did not put on record how many of them found the other side away."""
    running = delivery(Acting(script={(1, 1): [BUSY, BUSY]}), store)
    tell(store, asked(1))
    run(running)
    with store.transaction() as work:
        work.connection.execute(sa.update(parked).values(tries=40, outages=None))

    run(running, rounds=3)

    assert (effects(store), dead(store)) == ([(1, 1)], {})


def test_the_last_try_may_succeed(store: Store) -> None:
    tell(store, asked(1))

    run(delivery(Sql(script={(1, 1): [BUSY] * (MAX_TRIES - 1)}), store), rounds=MAX_TRIES)

    assert effects(store) == [(1, 1)]
    assert dead(store) == {}


def test_waiting_as_planned_never_kills(store: Store) -> None:
    often = 3 * MAX_TRIES
    tell(store, asked(1))

    run(delivery(Sql(script={(1, 1): [WAITS_AS_PLANNED] * often}), store), rounds=often + 1)

    assert effects(store) == [(1, 1)]


@pytest.mark.parametrize("kind", [Acting, Asking])
@pytest.mark.parametrize(
    "error", [GatewayUnavailableError("down"), GatewayUnsureError("lost"), KeyError("bug")]
)
def test_a_failing_call_is_tried_again(store: Store, kind: type[Acting], error: Exception) -> None:
    consumer = kind(script={(1, 1): [error]})
    tell(store, asked(1))

    run(delivery(consumer, store), rounds=2)

    assert consumer.world == [asked(1)]
    assert effects(store) == [(1, 1)]


def test_a_gateway_that_refuses_makes_a_dead_letter(store: Store) -> None:
    tell(store, asked(1))

    run(delivery(Acting(script={(1, 1): [GatewayRefusedError("no such account")]}), store))

    assert dead(store) == {"1:1": "an outside system refused: no such account"}


def test_a_gateway_says_when_it_may_be_asked_again(store: Store) -> None:
    down = GatewayUnavailableError("down", retry_after=timedelta(hours=5))
    consumer = Acting(script={(1, 1): [down]})
    running = delivery(consumer, store)
    tell(store, asked(1))
    run(running)

    pass_time(store, timedelta(hours=2))  # the jitter takes no more than half
    run(running)
    early = len(consumer.orders)
    pass_time(store, timedelta(hours=3))
    run(running)

    assert early == 1
    assert len(consumer.orders) == 2


def test_a_gateway_whose_fault_is_our_own_spends_no_try(store: Store) -> None:
    class MisconfiguredError(GatewayUnavailableError):
        spends_a_try = False

    often = [MisconfiguredError("no password")] * 2 * MAX_TRIES
    consumer = Acting(script={(1, 1): often})
    tell(store, asked(1))

    run(delivery(consumer, store), rounds=2 * MAX_TRIES + 1)

    assert effects(store) == [(1, 1)]


@pytest.mark.parametrize("kind", [Acting, Asking])
def test_who_stood_still_after_its_intent_makes_no_call_then(
    store: Store, kind: type[Acting]
) -> None:
    """It was taken for dead, perhaps, and another one is at it."""
    consumer, still = kind(), [START_DEADLINE + timedelta(seconds=1)]

    def probe(point: str) -> None:
        if point == "before the call" and still:
            pass_time(store, still.pop())

    tell(store, asked(1), asked(2))
    running = delivery(consumer, store, probe=probe)

    running.run_once()
    at_first = list(consumer.world)
    run(running, rounds=2)

    assert at_first == []
    assert consumer.world == [asked(1), asked(2)]
    assert [order.again for order in consumer.orders] == [False, False]
    assert dead(store) == {}


def test_who_asks_is_told_to_ask_only_when_an_end_is_not_known(store: Store) -> None:
    script: Script = {
        (1, 1): [GatewayUnavailableError("down"), BUSY],
        (2, 1): [GatewayUnsureError("lost")],
    }
    consumer = Asking(script=script)
    tell(store, asked(1), asked(2))

    run(delivery(consumer, store), rounds=3)

    assert [order.again for order in consumer.orders if order.event == asked(1)] == [False] * 3
    assert [order.again for order in consumer.orders if order.event == asked(2)] == [False, True]


def test_what_is_not_known_stays_so_while_nobody_can_be_asked(store: Store) -> None:
    """Or the second attempt's "nothing happened" would make the third one blind."""
    unknown = [GatewayUnsureError("lost"), GatewayUnavailableError("down")]
    consumer = Asking(script={(1, 1): [*unknown]})
    tell(store, asked(1))

    run(delivery(consumer, store), rounds=3)

    assert [order.again for order in consumer.orders] == [False, True, True]


def test_who_repeats_is_never_told_to_ask(store: Store) -> None:
    consumer = Acting(script={(1, 1): [GatewayUnsureError("lost")]})
    tell(store, asked(1))

    run(delivery(consumer, store), rounds=2)

    assert [order.again for order in consumer.orders] == [False, False]


def test_the_why_of_an_unexpected_error_holds_nothing_of_its_text(store: Store) -> None:
    tell(store, asked(1))

    run(delivery(Sql(script={(1, 1): [KeyError("A123456789")]}), store))

    assert dead(store)["1:1"].startswith("the event could not be handled: KeyError at ")
    assert "A123456789" not in dead(store)["1:1"]


def test_an_answer_that_is_no_outcome_is_a_dead_letter(store: Store) -> None:
    class Forgetful(Acting):
        def conclude(self, *_: object) -> None:  # type: ignore[override]
            pass

    tell(store, asked(1))

    run(delivery(Forgetful(), store))

    assert dead(store)["1:1"].startswith(f"{NOT_RECORDED}: TypeError")
