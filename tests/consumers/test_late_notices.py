"""Notices that go out days later tell of the day on which it happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from renewal.eventlog.embedded import EmbeddedLog
from schema.events import CertificateChangedV1, Change
from tests.scenario.sample import BROWSER, TOKEN

if TYPE_CHECKING:
    from tests.scenario.scenario import Scenario

STEPS = (Change.SUSPEND, Change.RESUME, Change.REVOKE)
THEN, NOW = "2026/03/02", "2026/03/04"  #: in Taipei
THEN_ROC, NOW_ROC = "民國115年3月2日", "民國115年3月4日"


def letters(world: Scenario) -> list[str]:
    return [line["body"] for line in world.outside("mail")]


def ask(world: Scenario, certificate: int, change: Change) -> None:
    world.app.back_office.ask_change(certificate, change, who="teller 7", why="asked for")


@pytest.mark.parametrize("upto", range(1, len(STEPS) + 1))
def test_what_was_changed_with_a_certificate_is_dated_when_it_was_changed(
    world: Scenario, upto: int
) -> None:
    for step in STEPS[:upto]:
        ask(world, BROWSER, step)
        world.drain_to("revocation", "records")

    world.wait(days=2)
    world.drain()

    found = letters(world)
    assert len(found) == upto
    assert all(f"時間：{THEN} 10:" in letter and NOW not in letter for letter in found)


def test_a_fee_and_its_refund_are_dated_when_they_were_paid(world: Scenario) -> None:
    world.centre.pay(TOKEN)
    world.drain_to("billing")
    ask(world, TOKEN, Change.REVOKE)
    world.drain_to("revocation", "records", "billing")

    world.wait(days=2)
    world.drain()

    paid, refunded = (letter for letter in letters(world) if "新臺幣" in letter)
    assert f"繳費日期：{THEN_ROC}" in paid
    assert f"退還日期：{THEN_ROC}" in refunded
    assert NOW_ROC not in paid + refunded


def test_a_change_that_was_told_without_its_time_still_has_all_its_effects(
    world: Scenario,
) -> None:
    world.paid()
    told = CertificateChangedV1(certificate=TOKEN, change=Change.REVOKE, number=1)
    EmbeddedLog(world.app.store).append([told])

    world.wait(days=2)
    world.drain()

    assert any(f"時間：{NOW} 10:" in letter for letter in letters(world))
    assert [op for op, _ in world.booked()] == ["debit", "refund"]
    assert world.dead() == []


def test_of_a_certificate_that_is_nobodys_nobody_is_told(world: Scenario) -> None:
    """It was taken in without its customer."""
    with world.app.store.transaction() as work:
        work.certificates.change(work.certificates.get(BROWSER), customer=None)
    ask(world, BROWSER, Change.SUSPEND)

    world.drain()

    assert (letters(world), world.dead()) == ([], [])
    assert world.certificate(BROWSER).state == "suspended"
