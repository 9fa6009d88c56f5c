"""Shows what follows from a carrier's report, and from its silence."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from producers.messages import reported
from renewal.db.outbox import LANES
from renewal.db.rows import Message
from renewal.errors import GatewayRefusedError, GatewayUnavailableError
from renewal.gateways.sms.port import DeliveryReport
from renewal.store import reports
from scheduler import delivery_receipts
from tests.scenario.rows import customer
from tests.scenario.stores import opened, sqlite_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from renewal.clock import VirtualClock
    from renewal.db.engine import Store
    from renewal.gateways.sms.port import Sms

LANDLINE = "21614"
SWITCHED_OFF = "30003"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with opened(sqlite_url(tmp_path), make=True) as store:
        with store.transaction() as work:
            work.customers.put(customer(work.cipher, 1, mail=None))
        yield store


def handed_over(store: Store, name: str = "M1", *, kind: str = "reminder") -> str:
    with store.transaction() as work:
        work.messages.put(
            Message(
                id=name,
                kind=kind,
                customer=1,
                channel="sms",
                state="handed over",
                owed_at=work.at,
                claimed_at=work.at,
                handed_at=work.at,
                ended_at=None,
                carrier_id=f"SM-{name}",
                code="",
                text_hash=b"",
                instead_of=None,
                renewal=None,
                version=1,
            )
        )
    return name


def report(store: Store, message: str, said: DeliveryReport, code: str = "") -> bool:
    with store.transaction() as work:
        return reported(work, message, said, code)


def state(store: Store, message: str = "M1") -> str:
    with store.snapshot() as look:
        return look.messages.get(message).state


def failures(store: Store) -> list[str]:
    with store.snapshot() as look:
        return [record.kind for record in reports.events_since(look, dict.fromkeys(LANES, 0), 100)]


def mobile_is_bad(store: Store) -> str | None:
    with store.snapshot() as look:
        return look.customers.get(1).mobile_bad


# --- a report that comes ------------------------------------------------------------------------


def test_a_reminder_that_did_not_arrive_is_told_once(store: Store) -> None:
    handed_over(store)

    first = report(store, "M1", DeliveryReport.UNDELIVERED, SWITCHED_OFF)
    second = report(store, "M1", DeliveryReport.UNDELIVERED, SWITCHED_OFF)

    assert (first, second) == (True, False)
    assert state(store) == "undelivered"
    assert failures(store) == ["message-failed.v1"]


@pytest.mark.parametrize(
    "order",
    list(
        permutations(
            (DeliveryReport.UNDER_WAY, DeliveryReport.DELIVERED, DeliveryReport.UNDELIVERED)
        )
    ),
)
def test_in_any_order_the_first_end_wins(store: Store, order: tuple[DeliveryReport, ...]) -> None:
    handed_over(store)

    for said in order:
        report(store, "M1", said)

    first_end = next(said for said in order if said is not DeliveryReport.UNDER_WAY)
    assert state(store) == first_end.value
    assert failures(store) == ["message-failed.v1"] * (first_end is DeliveryReport.UNDELIVERED)


def test_a_number_that_can_never_get_a_text_message_is_not_used_any_more(store: Store) -> None:
    handed_over(store)

    report(store, "M1", DeliveryReport.UNDELIVERED, LANDLINE)

    assert mobile_is_bad(store) == LANDLINE


def test_a_telephone_that_is_switched_off_is_used_again(store: Store) -> None:
    handed_over(store)

    report(store, "M1", DeliveryReport.UNDELIVERED, SWITCHED_OFF)

    assert mobile_is_bad(store) is None


def test_only_a_reminder_has_a_next_channel(store: Store) -> None:
    handed_over(store, kind="code")

    report(store, "M1", DeliveryReport.UNDELIVERED, LANDLINE)

    assert state(store) == "undelivered"
    assert failures(store) == []


def test_a_report_on_a_message_that_is_not_ours_changes_nothing(store: Store) -> None:
    assert report(store, "M9", DeliveryReport.DELIVERED) is False


# --- a report that is asked for -----------------------------------------------------------------


class Carrier:
    """Answers as told, and remembers of what it was asked."""

    def __init__(self, answer: tuple[DeliveryReport, str] | Exception) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def report(self, carrier_id: str) -> tuple[DeliveryReport, str]:
        self.asked.append(carrier_id)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def send(self, sms: Sms) -> str:
        raise NotImplementedError

    def find(self, sms: Sms, *, since: datetime) -> str | None:
        raise NotImplementedError


UNDER_WAY = (DeliveryReport.UNDER_WAY, "")


def later(store: Store, by: timedelta) -> None:
    clock: VirtualClock = store.clock  # type: ignore[assignment] # the stores of tests have one
    clock.advance_to(clock.now() + by)


def test_a_carrier_is_asked_when_its_own_report_is_late(store: Store) -> None:
    handed_over(store)
    carrier = Carrier((DeliveryReport.DELIVERED, ""))

    delivery_receipts.ask(store, carrier)
    early = list(carrier.asked)
    later(store, delivery_receipts.ASK_AFTER)
    done = delivery_receipts.ask(store, carrier)

    assert early == []
    assert carrier.asked == ["SM-M1"]
    assert done.ended == 1
    assert state(store) == "delivered"


@pytest.mark.parametrize(
    "silence",
    [
        UNDER_WAY,
        GatewayUnavailableError("not now"),
        GatewayRefusedError("no such message", code="20404"),
    ],
)
def test_after_six_hours_of_silence_a_reminder_has_failed_once(
    store: Store, silence: tuple[DeliveryReport, str] | Exception
) -> None:
    handed_over(store)
    carrier = Carrier(silence)

    later(store, delivery_receipts.GIVE_UP_AFTER - timedelta(seconds=1))
    delivery_receipts.ask(store, carrier)
    before = failures(store)
    later(store, timedelta(seconds=1))
    for _ in range(2):
        delivery_receipts.ask(store, carrier)

    assert before == []
    assert state(store) == "uncertain"
    assert failures(store) == ["message-failed.v1"]


def test_a_report_after_the_silence_is_still_put_on_record(store: Store) -> None:
    handed_over(store)
    later(store, delivery_receipts.GIVE_UP_AFTER)
    delivery_receipts.ask(store, Carrier(UNDER_WAY))

    report(store, "M1", DeliveryReport.UNDELIVERED, LANDLINE)

    assert state(store) == "undelivered"
    assert failures(store) == ["message-failed.v1"]  # one fact, told twice


def test_each_message_is_asked_for_once_in_a_run_and_a_full_run_goes_on(store: Store) -> None:
    for number in range(delivery_receipts.PAGE + 20):
        handed_over(store, f"M{number:04d}")
    later(store, delivery_receipts.ASK_AFTER)
    carrier = Carrier(UNDER_WAY)

    first = delivery_receipts.ask(store, carrier, at_most=delivery_receipts.PAGE)
    second = delivery_receipts.ask(store, carrier, after=first.after)

    assert first.after == f"M{delivery_receipts.PAGE - 1:04d}"
    assert second.after == ""
    assert len(carrier.asked) == len(set(carrier.asked)) == delivery_receipts.PAGE + 20
