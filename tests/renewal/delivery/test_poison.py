"""One bad event never stops the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from renewal.db.identity_map import ConflictError
from renewal.delivery import TooManyFailuresError, WorkerPool
from renewal.errors import GatewayUnavailableError
from renewal.outcome import Reject
from schema.codec import kind_of
from schema.events import RenewalDone
from schema.reasons import StatedReason
from tests.renewal.delivery.scripted import (
    Acting,
    Asking,
    Listed,
    Order,
    Script,
    Sql,
    asked,
    dead,
    delivery,
    effects,
    end,
    position,
    record,
    run,
    states,
    tell,
    waiting,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from renewal.db.engine import Store

SOUND = asked(1)
KIND = kind_of(SOUND)  #: as the consumer of these tests reads it now
POISON = {
    "nothing": b"",
    "no JSON": b"{",
    "no text": b"\xff\xfe\x00",
    "no object": b"[]",
    "too deep": b"[" * 60_000,
    "an unknown kind": b'{"kind":"no-such-kind.v1"}',
    "no kind": b"{}",
    "a missing field": b'{"kind":"%s","certificate":1,"change":"suspend"}' % KIND.encode(),
    "a wrong field": b'{"kind":"%s","certificate":"x","change":0,"number":1}' % KIND.encode(),
    "ten megabytes": b'"' + b"x" * 10_000_000 + b'"',
    "another kind": b'{"kind":"renewal-done.v1","renewal":"R1"}',
}


@pytest.mark.parametrize("body", POISON.values(), ids=POISON)
@pytest.mark.parametrize("kind", [KIND, "nobody knows this kind"])
def test_what_cannot_be_read_is_buried_and_the_rest_goes_on(
    store: Store, body: bytes, kind: str
) -> None:
    poison = record(SOUND, body=body, identity="poison", key="9", kind=kind)
    reader = Listed([record(asked(1)), poison, record(asked(2))])

    run(delivery(Sql(), store, reader))

    assert effects(store) == [(1, 1), (2, 1)]
    assert dead(store)["poison"].startswith("the event cannot be read: ")
    assert reader.position == 3


def test_kinds_of_others_are_passed_over(store: Store) -> None:
    tell(store, SOUND)
    reader = Listed([record(RenewalDone(renewal="R1")), record(SOUND)])

    run(delivery(Sql(), store, reader))

    assert states(store) == {"1:1": "settled"}
    assert reader.position == 2


def test_a_raising_prepare_stands_alone(store: Store) -> None:
    script: Script = {(7, 1): [KeyError()] * 99}
    tell(store, *(asked(key) for key in range(20)))

    run(delivery(Sql(script=script), store))

    assert [key for key, _ in effects(store)] == [key for key in range(20) if key != 7]
    assert list(dead(store)) == ["7:1"]
    assert position(store) == end(store)


@pytest.mark.parametrize("kind", [Acting, Asking])
def test_a_raising_conclude_stands_alone_and_nothing_is_called_twice(
    store: Store, kind: type[Acting]
) -> None:
    consumer = kind(conclusions={(7, 1): [KeyError("bug")] * 99})
    tell(store, *(asked(key) for key in range(20)))

    run(delivery(consumer, store))

    assert [key for key, _ in effects(store)] == [key for key in range(20) if key != 7]
    assert dead(store)["7:1"].startswith(
        "it was carried out, but could not be recorded: KeyError at "
    )
    assert len(consumer.world) == 20


def test_a_conflict_is_decided_again_at_once(store: Store) -> None:
    consumer = Sql(script={(1, 1): [ConflictError("another was first")] * 2})
    tell(store, asked(1))

    run(delivery(consumer, store))

    assert effects(store) == [(1, 1)]


def test_a_conflict_that_stays_lets_the_event_wait(store: Store) -> None:
    consumer = Sql(script={(1, 1): [ConflictError("another was first")] * 6})
    tell(store, asked(1, 1), asked(1, 2), asked(2, 1))
    running = delivery(consumer, store)
    run(running)
    at_first = effects(store), waiting(store)

    run(running, rounds=4)

    assert at_first == ([(2, 1)], ["1:1", "1:2"])
    assert effects(store) == [(2, 1), (1, 1), (1, 2)]


def test_a_conflict_in_conclude_does_not_call_again(store: Store) -> None:
    consumer = Acting(conclusions={(1, 1): [ConflictError("another was first")] * 2})
    tell(store, asked(1), asked(2))

    run(delivery(consumer, store))

    assert sorted(effects(store)) == [(1, 1), (2, 1)]
    assert consumer.world == [asked(1), asked(2)]


def test_what_may_be_repeated_is_begun_again_after_a_conflict_that_stayed(store: Store) -> None:
    consumer = Acting(conclusions={(1, 1): [ConflictError("another was first")] * 4})
    tell(store, asked(1))

    run(delivery(consumer, store), rounds=2)

    assert effects(store) == [(1, 1)]
    assert dead(store) == {}


def test_who_can_ask_asks_after_a_conflict_that_stayed(store: Store) -> None:
    consumer = Asking(conclusions={(1, 1): [ConflictError("another was first")] * 4})
    tell(store, asked(1))

    run(delivery(consumer, store), rounds=2)

    assert effects(store) == [(1, 1)]
    assert consumer.world == [asked(1)]
    assert [order.again for order in consumer.orders] == [False, True]


@pytest.mark.parametrize("answers", [[], ["done"], None, KeyError("bug")])
def test_a_gateway_that_takes_many_and_fails_leaves_all_of_them_unsure(
    store: Store, answers: object
) -> None:
    class AllAtOnce(Asking):
        def carry_out_all(self, orders: Sequence[Order]) -> Sequence[object]:
            if isinstance(answers, Exception):
                raise answers
            return answers if self.attempts.total() else [self.carry_out(one) for one in orders]  # type: ignore[return-value]

    consumer = AllAtOnce()
    consumer.attempts[0, 0] = 1
    tell(store, asked(1), asked(2))

    run(delivery(consumer, store))

    assert waiting(store) == ["1:1", "2:1"]
    assert set(states(store).values()) == {"unsure"}


def test_a_gateway_that_takes_many_is_asked_once(store: Store) -> None:
    class AllAtOnce(Acting):
        def carry_out_all(self, orders: Sequence[Order]) -> Sequence[object]:
            return ["done" for _ in orders]

    consumer = AllAtOnce()
    tell(store, asked(1), asked(2))

    run(delivery(consumer, store))

    assert consumer.orders == []
    assert effects(store) == [(1, 1), (2, 1)]


def test_several_hands_carry_out_several_keys_at_once(store: Store) -> None:
    tell(store, *(asked(key, number) for number in (1, 2) for key in range(10)))
    consumer = Acting()
    running = delivery(consumer, store)
    running.workers = hands = WorkerPool(4, "tests")

    run(running)
    hands.shutdown()

    assert sorted(effects(store)) == [(key, number) for key in range(10) for number in (1, 2)]
    assert [number for key, number in effects(store) if key == 3] == [1, 2]


def rejecting(count: int) -> Script:
    return {(key, 1): [Reject(StatedReason.NOTE.why(note="no"))] for key in range(count)}


def raising(count: int) -> Script:
    return {(key, 1): [KeyError()] * 99 for key in range(count)}


@pytest.mark.parametrize("script", [rejecting(50), raising(50)])
def test_when_most_fail_the_process_stops_and_none_of_them_is_buried(
    store: Store, script: Script
) -> None:
    tell(store, *(asked(key) for key in range(50)))

    with pytest.raises(TooManyFailuresError, match="50 of the last 50 events of tests"):
        run(delivery(Sql(script=script), store))

    assert dead(store) == {}
    assert states(store) == {}
    assert position(store) == 0


def test_fewer_failures_than_that_do_not_stop_it(store: Store) -> None:
    tell(store, *(asked(key) for key in range(100)))

    run(delivery(Sql(script=raising(49)), store))

    assert len(dead(store)) == 49
    assert len(effects(store)) == 51


def test_garbage_among_what_has_only_begun_does_not_stop_it(store: Store) -> None:
    poison = [record(SOUND, body=b"{", identity=f"p{n}", key=f"p{n}") for n in range(60)]
    reader = Listed([*poison, *(record(asked(key)) for key in range(240))])
    consumer = Acting()

    run(delivery(consumer, store, reader))

    assert len(dead(store)) == 60
    assert len(effects(store)) == len(consumer.world) == 240


def test_garbage_and_a_carrier_that_is_away_do_not_stop_it(store: Store) -> None:
    poison = [record(SOUND, body=b"{", identity=f"p{n}", key=f"p{n}") for n in range(60)]
    reader = Listed([*poison, *(record(asked(key)) for key in range(240))])
    consumer = Acting(script={(key, 1): [GatewayUnavailableError("away")] for key in range(240)})

    run(delivery(consumer, store, reader), rounds=2)

    assert (len(dead(store)), len(effects(store))) == (60, 240)


def test_when_most_of_a_batch_cannot_be_read_it_stops_though_some_have_begun(store: Store) -> None:
    batch = [
        record(asked(n)) if n % 5 == 0 else record(SOUND, body=b"{", identity=f"p{n}", key=f"p{n}")
        for n in range(500)
    ]

    with pytest.raises(TooManyFailuresError):
        run(delivery(Acting(), store, Listed(batch)))

    assert dead(store) == {}


def test_what_was_carried_out_is_on_record_before_the_process_stops(store: Store) -> None:
    consumer = Acting(script=rejecting(60))
    tell(store, *(asked(key) for key in range(70)))

    with pytest.raises(TooManyFailuresError):
        run(delivery(consumer, store))

    assert len(effects(store)) == len(consumer.world) == 10
    assert len(dead(store)) == 60


def test_one_by_one_it_stops_as_in_batches(store: Store) -> None:
    """Each event counts once: when it has ended, and not when it begins."""
    failing: Script = {
        (key, 1): [Reject(StatedReason.NOTE.why(note="no"))] for key in range(100) if key % 5 < 3
    }
    tell(store, *(asked(key) for key in range(100)))

    with pytest.raises(TooManyFailuresError, match="50 of the last"):
        run(delivery(Acting(script=failing), store, at_most=1))


def test_failures_that_were_rolled_back_are_not_counted(store: Store) -> None:
    """Each half of a batch fails with its bad ones; they have died once, not once a half."""
    consumer = Acting(
        script={(key, 1): [Reject(StatedReason.NOTE.why(note="no"))] for key in range(30)},
        conclusions={(35, 1): [KeyError("bug")] * 99},
    )
    tell(store, *(asked(key) for key in range(40)))

    run(delivery(consumer, store))

    assert len(dead(store)) == 31
