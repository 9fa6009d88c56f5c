"""A word of a carrier on our account stops the lane, keeps the messages and is told to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from renewal.contacts import Address, open_address, why_resting
from renewal.db.rows import Message
from renewal.gateways.sms.mailbox import SmsRefused
from renewal.lanes import refused
from renewal.rules.lanes import MANY_IN_A_ROW
from renewal.store import alarms
from renewal.store.alarms import Kind, Ruling
from renewal.store.lanes import all_lanes
from tests.found.house import Refusing, connect, disconnect, remind
from tests.scenario.rows import mobile_of
from tests.scenario.sample import BROWSER, CARD, TOKEN, open_sample
from tests.scenario.scenario import START, Scenario

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Scenario]:
    opened = open_sample(tmp_path / "bank")
    yield opened
    disconnect(opened)
    opened.close()


def raised(world: Scenario) -> list[tuple[str, str, str]]:
    with world.app.store.snapshot() as look:
        return [(one.kind, one.subject, one.code) for one in alarms.open_alarms(look)]


def test_nothing_follows_by_a_stopped_lane_and_people_are_told(world: Scenario) -> None:
    with Refusing(20005, 401) as carrier:
        connect(world, carrier=carrier)
        remind(world)
        asked = carrier.asked
        world.wait(minutes=5)
        remind(world)

        assert carrier.asked == asked
    assert raised(world) == [(Kind.LANE_STOPPED, "sms reminders", "20005")]


def test_a_lane_that_is_mended_goes_on_by_itself_and_ends_its_alarm(world: Scenario) -> None:
    with Refusing(20005, 401) as carrier:
        connect(world, carrier=carrier)
        remind(world)
        carrier.code = None
        world.wait(minutes=20)
        world.drain()

        assert len(carrier.to(mobile_of(BROWSER))) == 1
    assert raised(world) == []
    assert world.dead() == []


def test_a_code_that_nobody_knows_stops_a_lane_only_when_it_comes_again(world: Scenario) -> None:
    with Refusing(29_999) as carrier:
        connect(world, carrier=carrier)
        remind(world)
        with world.app.store.snapshot() as look:
            lane = all_lanes(look)["sms reminders"]

    assert carrier.asked == 2
    assert lane.stopped_until is None
    assert raised(world) == [(Kind.UNKNOWN_CODE, "sms reminders", "29999")]


def test_staff_may_rule_that_a_code_speaks_of_the_message(world: Scenario) -> None:
    with Refusing(29_999) as carrier:
        connect(world, carrier=carrier)
        remind(world)
        with world.app.store.transaction() as work:
            alarms.end(work, "unknown code:sms reminders:29999", Ruling.MESSAGE)
        world.wait(minutes=20)
        world.drain()

    query = "SELECT channel, state, code FROM messages WHERE customer = :c ORDER BY claimed_at, id"
    assert world.rows(query, c=BROWSER) == [
        ("sms", "undelivered", "29999"),
        ("mail", "handed over", ""),
    ]


def test_many_refusals_in_a_row_are_no_word_on_any_address(world: Scenario) -> None:
    with world.app.store.transaction() as work:
        row = work.customers.get(BROWSER)
        work.customers.change(row, mobile_bad="21614", mobile_bad_until=None)
        work.messages.put(failed(row.mobile_hash))

    for number in range(MANY_IN_A_ROW):
        world.wait(seconds=1)
        with world.app.store.transaction() as work:
            refused(work, "sms reminders", "21614", b"%d" % number)

    with world.app.store.snapshot() as look:
        opened = look.customers.get(BROWSER)
        lane = all_lanes(look)["sms reminders"]
    assert why_resting(opened, Address.MOBILE, world.clock.now()) is None
    assert lane.stopped_until is not None
    assert (Kind.MANY_IN_A_ROW, "sms reminders", "21614") in raised(world)


def failed(address_hash: bytes | None) -> Message:
    later = START.replace(year=2027)
    return Message(
        id="M1", kind="reminder", customer=BROWSER, channel="sms", state="undelivered",
        owed_at=START, claimed_at=START, handed_at=None, ended_at=later, carrier_id=None,
        code="21614", text_hash=b"", instead_of=None, renewal=None, version=1,
        address_hash=address_hash,
    )  # fmt: skip


def test_one_address_that_fails_again_and_again_is_one_failure(world: Scenario) -> None:
    for _ in range(MANY_IN_A_ROW + 1):
        with world.app.store.transaction() as work:
            refused(work, "mail", "5.1.1", b"one")

    with world.app.store.snapshot() as look:
        assert all_lanes(look)["mail"].stopped_until is None


def test_an_address_rests_for_everybody_who_has_it(world: Scenario) -> None:
    with world.app.store.transaction() as work:
        mine = work.customers.get(BROWSER)
        for other in (TOKEN, CARD):
            work.customers.change(work.customers.get(other), mobile_hash=mine.mobile_hash)
    world.weather.sms = lambda _: SmsRefused(code="21614")

    remind(world)

    assert world.rows("SELECT DISTINCT mobile_bad FROM customers") == [("21614",)]


def test_an_address_that_a_person_has_opened_forgets_what_was_said_before(world: Scenario) -> None:
    world.weather.sms = lambda _: SmsRefused(code="30005")
    remind(world)
    with world.app.store.transaction() as work:
        row = work.customers.get(BROWSER)
        work.customers.change(row, mobile_bad="30005")
    with world.app.store.transaction() as work:
        open_address(work, work.customers.get(BROWSER), Address.MOBILE)
        put = failed(work.customers.get(BROWSER).mobile_hash)
    world.wait(days=1)

    from renewal.contacts import mark_contact  # noqa: PLC0415 - close to its use

    with world.app.store.transaction() as work:
        mark_contact(work, put, "30005")

    with world.app.store.snapshot() as look:
        assert why_resting(look.customers.get(BROWSER), Address.MOBILE, look.at) is None
