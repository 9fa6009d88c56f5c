"""A phone that was off: the text again, at most twice and a day apart, then the other channel."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from renewal.gateways.sms.mailbox import SmsAnswerLost, SmsReported
from renewal.gateways.sms.port import DeliveryReport
from renewal.invariants import CheckInput
from renewal.invariants.reminders import CHECKS
from tests.scenario.reminding import Scenario, got_a_notice, taipei

if TYPE_CHECKING:
    from renewal.gateways.sms.mailbox import Outcome
    from renewal.gateways.sms.port import Sms

END = taipei("2026-03-20 23:59:59")  #: a Friday
MONDAY = "2026-03-02 09:00"
HOUR = timedelta(hours=1)


class Killed(BaseException):
    pass


def off(town: Scenario, code: str, *, times: int) -> None:
    left = [SmsReported(report=DeliveryReport.UNDELIVERED, code=code)] * times

    def fault(_sms: Sms) -> Outcome | None:
        return left.pop() if left else None

    town.weather.sms = fault


def lives(town: Scenario, until: str) -> None:
    end = taipei(until)
    while town.clock.now() < end:
        town.at(town.clock.now() + HOUR / 2)
        town.hear_reports()


def violations(town: Scenario) -> list[str]:
    given = CheckInput(
        now=town.clock.now(), policies=town.policies.by_product, groups={}, log_is_here=True
    )
    with town.store.snapshot() as look:
        return [one.what for one in CHECKS for _ in one.find(look, given)]


def days(town: Scenario) -> list[tuple[str, str]]:
    return [(channel, at[5:10]) for channel, at in town.sent()]


@pytest.mark.parametrize("code", ["30003", "30008"])
@pytest.mark.parametrize(
    ("times", "sent"),
    [
        (1, [("sms", "03-02"), ("sms", "03-03")]),
        (2, [("sms", "03-02"), ("sms", "03-03"), ("sms", "03-04")]),
        (3, [("sms", "03-02"), ("sms", "03-03"), ("sms", "03-04"), ("mail", "03-04")]),
    ],
)
def test_a_text_that_did_not_arrive_is_tried_twice_more_and_then_goes_by_mail(
    town: Scenario, code: str, times: int, sent: list[tuple[str, str]]
) -> None:
    off(town, code, times=times)
    town.add(1, END)
    town.turn()

    lives(town, "2026-03-05 20:00")

    assert days(town) == sent
    assert len({row["ref"] for row in town.outside("sms")}) == len(town.outside("sms"))
    assert town.customer(1).mobile_bad is None
    assert town.dead() == []
    assert violations(town) == []


@pytest.mark.parametrize(
    ("begins", "told", "day"), [("2026-03-19 09:00", 3, "03-19"), ("2026-03-06 09:00", 30, "03-06")]
)
def test_without_time_for_it_the_mail_goes_at_once(
    town: Scenario, begins: str, told: int, day: str
) -> None:
    """The next step is tomorrow's; or tomorrow is a Saturday."""
    town.clock.set(taipei(begins))
    off(town, "30003", times=9)
    town.add(1, END, told=told)
    town.turn()

    lives(town, f"2026-{day} 20:00")

    assert days(town) == [("sms", day), ("mail", day)]


def test_whoever_renews_meanwhile_is_not_told_again(town: Scenario) -> None:
    off(town, "30003", times=1)
    town.add(1, END)
    town.turn()
    lives(town, "2026-03-02 12:00")
    town.request(1)

    lives(town, "2026-03-04 12:00")

    assert days(town) == [("sms", "03-02")]
    assert town.dead() == []


def test_a_report_that_comes_twice_is_one_more_text(town: Scenario) -> None:
    town.add(1, END)
    town.turn()
    (ref,) = (row["ref"] for row in town.outside("sms"))

    for _ in range(3):
        town.report(ref, DeliveryReport.UNDELIVERED, "30003")
        town.drain()
    town.report(ref, DeliveryReport.DELIVERED)
    lives(town, "2026-03-05 12:00")

    assert days(town) == [("sms", "03-02"), ("sms", "03-03")]


def test_a_lost_answer_of_the_second_text_makes_no_third(town: Scenario) -> None:
    faults: list[Outcome] = [
        SmsAnswerLost(),
        SmsReported(report=DeliveryReport.UNDELIVERED, code="30003"),
    ]
    town.weather.sms = lambda _sms: faults.pop() if faults else None
    town.add(1, END)
    town.turn()

    lives(town, "2026-03-05 12:00")

    assert days(town) == [("sms", "03-02"), ("sms", "03-03")]


@pytest.mark.parametrize(
    "point", ["after intent", "before the call", "after the call", "after answer", "before commit",
              "committed"]
)  # fmt: skip
def test_killed_at_the_second_text_it_is_sent_once(town: Scenario, point: str) -> None:
    def kill(name: str) -> None:
        if name == point:
            town.probe = lambda _point: None
            raise Killed

    off(town, "30003", times=1)
    town.add(1, END)
    town.turn()
    lives(town, "2026-03-03 08:30")
    town.probe = kill
    with pytest.raises(Killed):
        lives(town, "2026-03-03 12:00")
    town.restart()

    lives(town, "2026-03-04 12:00")

    assert days(town) == [("sms", "03-02"), ("sms", "03-03")]
    assert town.dead() == []


def test_a_text_that_is_sent_again_takes_along_what_is_owed_besides(town: Scenario) -> None:
    """Both find the day's text free from nine o'clock on, and it is one."""
    off(town, "30003", times=1)
    town.clock.set(taipei("2026-03-03 09:00"))
    town.add(1, taipei("2026-03-17 23:59:59"), told=30, mail=False)  # step 14
    town.turn()
    town.add(2, taipei("2026-03-05 23:59:59"), customer=1, told=3, look=taipei("2026-03-04 00:00"))

    lives(town, "2026-03-04 20:00")  # of the other's step 1 the only day

    assert days(town) == [("sms", "03-03"), ("sms", "03-04")]
    assert "2張" in town.texts()[-1]
    assert town.certificate(2).told == 1
    assert town.dead() == []
    assert violations(town) == []


@pytest.mark.parametrize("noticed", [False, True])
def test_a_notice_does_not_keep_a_text_from_being_sent_again(
    town: Scenario, *, noticed: bool
) -> None:
    off(town, "30003", times=1)
    town.clock.set(taipei("2026-03-03 09:00"))
    town.add(1, taipei("2026-03-17 23:59:59"), told=30, mail=False)
    town.turn()
    if noticed:
        got_a_notice(town, 1, taipei("2026-03-04 08:05"))

    lives(town, "2026-03-05 20:00")

    assert days(town) == [("sms", "03-03"), ("sms", "03-04")]
    assert town.dead() == []
