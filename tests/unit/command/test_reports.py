"""Shows what follows from a carrier's report, and from its silence."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from producers.messages import reported
from renewal.errors import GatewayRefusedError, GatewayUnavailableError
from renewal.gateways.sms.port import Report
from renewal.store import lists
from renewal.store.log import LANES
from renewal.store.rows import Customer, Message
from scheduler import reports
from tests.stores import opened, sqlite_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from renewal.clock import VirtualClock
    from renewal.gateways.sms.port import Sms
    from renewal.store.engine import Store

LANDLINE = "30006"
SWITCHED_OFF = "30003"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with opened(sqlite_url(tmp_path), make=True) as store:
        with store.work() as work:
            seal = work.vault.seal
            work.customers.put(
                Customer(
                    id=1,
                    reference_hash=b"1",
                    id_number_sealed=seal("A123456781", "customers.id_number"),
                    id_number_hash=b"1",
                    name_sealed=seal("王小明", "customers.name"),
                    mobile_sealed=seal("+886912345671", "customers.mobile"),
                    mobile_hash=b"1",
                    mail_sealed=None,
                    mail_hash=None,
                    mobile_bad=None,
                    mail_bad=None,
                    locale="zh-TW",
                    opted_out=False,
                    contact_version=1,
                    version=1,
                )
            )
        yield store


def handed_over(store: Store, name: str = "M1", *, kind: str = "reminder") -> str:
    with store.work() as work:
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


def report(store: Store, message: str, said: Report, code: str = "") -> bool:
    with store.work() as work:
        return reported(work, message, said, code)


def state(store: Store, message: str = "M1") -> str:
    with store.look() as look:
        return look.messages.get(message).state


def failures(store: Store) -> list[str]:
    with store.look() as look:
        return [record.kind for record in lists.events_since(look, dict.fromkeys(LANES, 0), 100)]


def mobile_is_bad(store: Store) -> str | None:
    with store.look() as look:
        return look.customers.get(1).mobile_bad


# --- a report that comes ------------------------------------------------------------------------


def test_a_reminder_that_did_not_arrive_is_told_once(store: Store) -> None:
    handed_over(store)

    first = report(store, "M1", Report.UNDELIVERED, SWITCHED_OFF)
    second = report(store, "M1", Report.UNDELIVERED, SWITCHED_OFF)

    assert (first, second) == (True, False)
    assert state(store) == "undelivered"
    assert failures(store) == ["message-failed.v1"]


@pytest.mark.parametrize(
    "order", list(permutations((Report.UNDER_WAY, Report.DELIVERED, Report.UNDELIVERED)))
)
def test_in_any_order_the_first_end_wins(store: Store, order: tuple[Report, ...]) -> None:
    handed_over(store)

    for said in order:
        report(store, "M1", said)

    first_end = next(said for said in order if said is not Report.UNDER_WAY)
    assert state(store) == first_end.value
    assert failures(store) == ["message-failed.v1"] * (first_end is Report.UNDELIVERED)


def test_a_number_that_can_never_get_a_text_message_is_not_used_any_more(store: Store) -> None:
    handed_over(store)

    report(store, "M1", Report.UNDELIVERED, LANDLINE)

    assert mobile_is_bad(store) == LANDLINE


def test_a_telephone_that_is_switched_off_is_used_again(store: Store) -> None:
    handed_over(store)

    report(store, "M1", Report.UNDELIVERED, SWITCHED_OFF)

    assert mobile_is_bad(store) is None


def test_only_a_reminder_has_a_next_channel(store: Store) -> None:
    handed_over(store, kind="code")

    report(store, "M1", Report.UNDELIVERED, LANDLINE)

    assert state(store) == "undelivered"
    assert failures(store) == []


def test_a_report_on_a_message_that_is_not_ours_changes_nothing(store: Store) -> None:
    assert report(store, "M9", Report.DELIVERED) is False


# --- a report that is asked for -----------------------------------------------------------------


class Carrier:
    """
    Answers as told, and remembers of what it was asked.
    """

    def __init__(self, answer: tuple[Report, str] | Exception) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def report(self, carrier_id: str) -> tuple[Report, str]:
        self.asked.append(carrier_id)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def send(self, sms: Sms) -> str:
        raise NotImplementedError

    def find(self, sms: Sms, *, since: datetime) -> str | None:
        raise NotImplementedError


UNDER_WAY = (Report.UNDER_WAY, "")


def later(store: Store, by: timedelta) -> None:
    clock: VirtualClock = store.clock  # type: ignore[assignment] # the stores of tests have one
    clock.advance_to(clock.now() + by)


def test_a_carrier_is_asked_when_its_own_report_is_late(store: Store) -> None:
    handed_over(store)
    carrier = Carrier((Report.DELIVERED, ""))

    reports.ask(store, carrier)
    early = list(carrier.asked)
    later(store, reports.ASK_AFTER)
    done = reports.ask(store, carrier)

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
    store: Store, silence: tuple[Report, str] | Exception
) -> None:
    handed_over(store)
    carrier = Carrier(silence)

    later(store, reports.GIVE_UP_AFTER - timedelta(seconds=1))
    reports.ask(store, carrier)
    before = failures(store)
    later(store, timedelta(seconds=1))
    for _ in range(2):
        reports.ask(store, carrier)

    assert before == []
    assert state(store) == "uncertain"
    assert failures(store) == ["message-failed.v1"]


def test_a_report_after_the_silence_is_still_put_on_record(store: Store) -> None:
    handed_over(store)
    later(store, reports.GIVE_UP_AFTER)
    reports.ask(store, Carrier(UNDER_WAY))

    report(store, "M1", Report.UNDELIVERED, LANDLINE)

    assert state(store) == "undelivered"
    assert failures(store) == ["message-failed.v1"]  # one fact, told twice


def test_each_message_is_asked_for_once_in_a_run_and_a_full_run_goes_on(store: Store) -> None:
    for number in range(reports.PAGE + 20):
        handed_over(store, f"M{number:04d}")
    later(store, reports.ASK_AFTER)
    carrier = Carrier(UNDER_WAY)

    first = reports.ask(store, carrier, at_most=reports.PAGE)
    second = reports.ask(store, carrier, after=first.after)

    assert first.after == f"M{reports.PAGE - 1:04d}"
    assert second.after == ""
    assert len(carrier.asked) == len(set(carrier.asked)) == reports.PAGE + 20
