"""What a process says while it is at an event carries that event's trace."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from renewal.delivery import WorkerPool, dead_letters
from renewal.errors import GatewayUnavailableError
from renewal.eventlog.trace import derived, parsed, trace_id, trace_of
from renewal.outcome import Reject
from schema.codec import encode, kind_of
from schema.reasons import StatedReason
from tests.flows.kafka.rig import ON_KAFKA, SOON, Rig, drain, until
from tests.renewal.delivery.scripted import (
    Acting,
    Order,
    asked,
    delivery,
    effects,
    pass_time,
    run,
    tell,
)
from tests.scenario.book import lines
from tests.scenario.stores import opened, sqlite_url

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator
    from pathlib import Path

    from renewal.db.engine import Store
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.outcome import Outcome
    from schema.events import ChangeRequested, Event

pytestmark = ON_KAFKA

FOREIGN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
AT_EACH = ["prepared", "carried out", "concluded", "done"]


class Talking(Acting):
    """It says what it does, and knows of no trace."""

    def prepare(self, event: ChangeRequested, work: UnitOfWork, *, outcome_unknown: bool) -> object:
        _say("prepared", event)
        return super().prepare(event, work, outcome_unknown=outcome_unknown)

    def carry_out(self, order: Order) -> object:
        _say("carried out", order.event)
        return super().carry_out(order)

    def conclude(self, order: Order, answer_: str, work: UnitOfWork) -> Outcome:
        _say("concluded", order.event)
        return super().conclude(order, answer_, work)


def _say(what: str, event: Event) -> None:
    logging.getLogger("a library").info(what, extra={"identity": event.identity})


@pytest.fixture
def hands() -> Iterator[WorkerPool]:
    hands = WorkerPool(4, "tests")
    yield hands
    hands.shutdown()


def said(book: io.StringIO, identity: str) -> list[tuple[str, str | None, str | None]]:
    return [
        (it["message"], it.get("trace_id"), it.get("span_id"))
        for it in lines(book)
        if it.get("identity") == identity
    ]


def strange(event: Event, *, traceparent: bytes) -> tuple[str, bytes, bytes, list[Any]]:
    kind = ("ce_type", kind_of(event).encode())
    told = [kind, ("ce_id", event.identity.encode()), ("traceparent", traceparent)]
    return ("certificates", event.key.encode(), encode(event), told)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with opened(sqlite_url(tmp_path), make=True) as store:
        yield store


def test_an_event_is_followed_from_the_producer_through_the_broker_into_a_consumers_lines(
    rig: Rig, book: io.StringIO, hands: WorkerPool
) -> None:
    events = [asked(key) for key in range(20)]
    rig.tell(*events)
    rig.relayed()
    carried = {one.identity: parsed(one.traceparent or "") for one in rig.lying("certificates", 20)}

    delivery_ = rig.delivery(Talking())
    delivery_.workers = hands
    drain(delivery_)

    for event in events:
        trace = carried[event.identity]
        assert trace is not None
        assert said(book, event.identity) == [(what, *trace) for what in AT_EACH]


def test_on_the_embedded_log_the_lines_have_the_trace_that_kafka_would_carry(
    store: Store, book: io.StringIO, hands: WorkerPool
) -> None:
    events = [asked(key, number) for key in range(10) for number in (1, 2)]
    tell(store, *events)

    delivery_ = delivery(Talking(), store)
    delivery_.workers = hands
    run(delivery_)
    logging.getLogger("a library").info("outside")

    for event in events:
        trace = derived(key=event.key, identity=event.identity)
        assert said(book, event.identity) == [(what, *trace) for what in AT_EACH]
    assert "trace_id" not in next(it for it in lines(book) if it["message"] == "outside")


@pytest.mark.parametrize("where", ["prepare", "carry_out", "conclude"])
def test_the_complaint_about_a_failure_has_the_trace_too(
    store: Store, book: io.StringIO, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> object:
        raise KeyError("x")

    consumer = Talking()
    monkeypatch.setattr(consumer, where, broken)
    tell(store, asked(1))

    run(delivery(consumer, store))

    trace = trace_id(asked(1).key)
    told = [it for it in lines(book) if it["level"] == "ERROR"]
    assert [(it["trace_id"], it["error"]) for it in told] == [(trace, "KeyError")]


def test_a_trace_that_came_from_outside_is_kept_and_ours_is_linked(
    rig: Rig, book: io.StringIO
) -> None:
    event = asked(1)
    rig.put(strange(event, traceparent=FOREIGN.encode()))

    drain(rig.delivery(Talking()))

    assert said(book, event.identity) == [(what, TRACE, SPAN) for what in AT_EACH]
    linked = {it["linked_trace_id"] for it in lines(book) if it.get("trace_id") == TRACE}
    assert linked == {trace_id(event.key)}


def test_an_event_that_has_waited_for_its_time_or_behind_another_keeps_its_trace(
    rig: Rig, book: io.StringIO
) -> None:
    events = [asked(1), asked(1, 2)]
    away = GatewayUnavailableError("away")
    rig.put(*(strange(event, traceparent=FOREIGN.encode()) for event in events))
    running = rig.delivery(Talking(script={(1, 1): [away]}))

    drain(running)
    pass_time(rig.store)
    until(lambda: len(effects(rig.store)) == len(events), lambda: running.run_once(SOON))

    tried = [(what, TRACE, SPAN) for what in ("prepared", "carried out", "parked")]
    at_each = [(what, TRACE, SPAN) for what in AT_EACH]
    assert said(book, events[0].identity) == tried + at_each
    assert said(book, events[1].identity) == at_each


def test_what_was_given_up_and_sent_again_keeps_its_trace(rig: Rig, book: io.StringIO) -> None:
    event = asked(1)
    rig.put(strange(event, traceparent=FOREIGN.encode()))
    running = rig.delivery(Talking(script={(1, 1): [Reject(StatedReason.NOTE.why(note="no"))]}))
    drain(running)

    with rig.store.transaction() as work:
        letter = dead_letters.replay(work, 1)
    until(lambda: bool(effects(rig.store)), lambda: running.run_once(SOON))

    assert trace_of(letter) == (TRACE, SPAN)
    ends = [(what, TRACE, SPAN) for what in AT_EACH]
    assert said(book, event.identity)[-len(ends) :] == ends


@pytest.mark.parametrize(
    "traceparent",
    [
        b"00-" + b"0" * 32 + b"-00f067aa0ba902b7-01",
        b"A123456789 +886912345678",
        b"x" * 5_000,
        b"\xff",
    ],
)
def test_what_is_no_trace_is_not_written(rig: Rig, book: io.StringIO, traceparent: bytes) -> None:
    event = asked(1)
    rig.put(strange(event, traceparent=traceparent))

    drain(rig.delivery(Talking()))

    own = derived(key=event.key, identity=event.identity)
    assert said(book, event.identity) == [(what, *own) for what in AT_EACH]
    assert "linked_trace_id" not in book.getvalue()
