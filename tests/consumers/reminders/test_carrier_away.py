"""A carrier that is away for days: the other channel in time, and never both for one step."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from renewal.errors import GatewayUnavailableError
from renewal.gateways.mail.mailbox import MailUnavailable
from renewal.gateways.sms.mailbox import SmsAnswerLost, SmsUnavailable
from renewal.gateways.sms.port import DeliveryReport, GatewayMisconfiguredError
from tests.scenario.reminding import CARD, HOUR, TOKEN, Scenario, taipei

if TYPE_CHECKING:
    from datetime import datetime

    from renewal.gateways.sms.mailbox import Outcome
    from renewal.gateways.sms.port import Sms

END = taipei("2026-03-20 23:59:59")  #: a Friday
MONDAY = "2026-03-02 09:00"
POINTS = ["begin", "after intent", "before the call", "after the call", "after answer",
          "before commit", "committed", "before the offset"]  # fmt: skip


class Killed(BaseException):
    pass


def no_texts(town: Scenario) -> None:
    town.weather.sms = lambda _sms: SmsUnavailable()


def days(town: Scenario) -> list[tuple[str, str]]:
    return [(channel, at[:10]) for channel, at in town.sent()]


def test_after_three_days_the_reminder_goes_by_mail_once(town: Scenario) -> None:
    no_texts(town)
    town.add(1, END)
    town.turn()

    town.until("2026-03-05 08:00")
    before = town.sent()
    town.until("2026-03-05 12:00")
    town.weather.sms = lambda _sms: None
    town.until("2026-03-07 12:00")

    assert before == []
    assert days(town) == [("mail", "2026-03-05"), ("sms", "2026-03-06")]  # the next step
    assert town.dead() == []
    assert ("carrier away", "away") in town.decisions(1)
    assert town.customer(1).mobile_bad is None


@pytest.mark.parametrize(
    ("begins", "told", "mailed"),
    [("2026-03-19 09:00", 3, "2026-03-19"), ("2026-03-16 09:00", 14, "2026-03-16")],
)
def test_before_the_next_step_the_reminder_goes_by_mail_once(
    town: Scenario, begins: str, told: int, mailed: str
) -> None:
    town.clock.set(taipei(begins))
    no_texts(town)
    town.add(1, END, told=told)

    town.turn()
    at_once = town.sent()
    town.until(f"{mailed} 23:59")

    assert at_once == []
    assert [(channel, at[:13]) for channel, at in town.sent()] == [("mail", f"{mailed} 20")]


def test_before_the_window_closes_it_goes_by_mail(town: Scenario) -> None:
    town.clock.set(taipei("2026-03-20 18:00"))
    no_texts(town)
    town.add(1, END, product=CARD, told=1)

    town.turn()
    town.until("2026-03-22 12:00")

    assert [(channel, at[:13]) for channel, at in town.sent()] == [("mail", "2026-03-20 21")]


def test_each_step_is_told_by_mail_as_long_as_no_text_goes(town: Scenario) -> None:
    no_texts(town)
    town.clock.set(taipei("2026-03-12 12:00"))
    town.add(1, END, told=14, look=taipei("2026-03-13 00:00"))

    town.until("2026-03-21 12:00")

    assert [day[-2:] for _, day in days(town)] == ["16", "18", "19", "20"]
    assert {channel for channel, _ in town.sent()} == {"mail"}
    assert town.dead() == []


def test_a_mail_server_that_is_away_leaves_it_to_a_text_at_a_decent_hour(town: Scenario) -> None:
    town.weather.mail = lambda _mail: MailUnavailable()
    town.add(1, END, product=TOKEN)
    town.turn()

    town.until("2026-03-05 23:00")

    ((channel, at),) = town.sent()
    assert (channel, at[:10]) == ("sms", "2026-03-05")


def test_a_mail_server_that_is_away_is_waited_for_when_a_text_would_come_too_late(
    town: Scenario,
) -> None:
    town.clock.set(taipei("2026-03-18 21:30"))
    town.weather.mail = lambda _mail: MailUnavailable()
    town.add(1, END, product=TOKEN, told=7)
    town.turn()
    town.until("2026-03-18 22:30", every=HOUR / 4)
    town.weather.mail = lambda _mail: None

    town.until("2026-03-18 23:59", every=HOUR / 4)

    assert days(town) == [("mail", "2026-03-18")]


def test_without_another_channel_it_waits_for_its_carrier(town: Scenario) -> None:
    no_texts(town)
    town.add(1, END, mail=False)
    town.turn()

    town.until("2026-03-05 12:00")
    town.weather.sms = lambda _sms: None
    town.until("2026-03-05 18:00")

    assert days(town) == [("sms", "2026-03-05")]
    assert "branch call" not in {what for what, _ in town.decisions(1)}


def test_a_text_that_may_have_been_sent_is_never_followed_by_mail(
    town: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_sms: Sms, *, since: datetime) -> str | None:
        raise GatewayUnavailableError(f"nothing since {since} can be listed")

    town.weather.sms = lambda _sms: SmsAnswerLost()
    town.add(1, END)
    with monkeypatch.context() as lost:
        lost.setattr(town.app.gateways.sms, "find", away)
        town.turn()
        town.until("2026-03-05 23:00")
        waiting = town.rows("SELECT state FROM messages")
    town.weather.sms = lambda _sms: None

    town.until("2026-03-09 12:00")

    assert waiting == [("claimed",)]
    assert days(town) == [("sms", "2026-03-02"), ("sms", "2026-03-09")]  # the next step
    assert town.dead() == []


def test_what_a_carrier_took_in_although_it_said_no_is_not_told_again(town: Scenario) -> None:
    """Its report of the delivery comes before we have put down that it was away."""

    def lies(sms: Sms) -> Outcome:
        if town.clock.now() > taipei("2026-03-05 08:59"):
            assert town.report(sms.id, DeliveryReport.DELIVERED) in {True, False}
        return SmsUnavailable()

    town.weather.sms = lies
    town.add(1, END)
    town.turn()

    town.until("2026-03-05 23:00")

    assert town.sent() == []
    assert town.rows("SELECT state FROM messages") == [("delivered",)]
    assert "carrier away" not in {what for what, _ in town.decisions(1)}


def test_a_report_that_comes_late_and_twice_makes_no_second_mail(town: Scenario) -> None:
    no_texts(town)
    town.add(1, END)
    town.turn()
    town.until("2026-03-05 23:00")
    ((text,),) = town.rows("SELECT id FROM messages WHERE channel = 'sms'")

    taken = [town.report(text, DeliveryReport.UNDELIVERED, "30005") for _ in range(2)]
    town.until("2026-03-05 23:59")

    assert taken == [False, False]
    assert days(town) == [("mail", "2026-03-05")]


def test_a_mistake_in_our_own_settings_leaves_it_to_mail_only_when_the_step_runs_out(
    town: Scenario,
) -> None:
    def misconfigured(_sms: Sms) -> None:
        raise GatewayMisconfiguredError("the sender is not set up")

    town.weather.sms = misconfigured
    town.add(1, END)
    town.turn()

    town.until("2026-03-05 19:00")
    at_first = town.sent()
    town.until("2026-03-06 00:00")

    assert at_first == []
    assert [(channel, at[:13]) for channel, at in town.sent()] == [("mail", "2026-03-05 20")]


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_killed_at_any_point_of_the_change_it_is_told_once(
    town: Scenario, point: str, nth: int
) -> None:
    left = nth

    def kill(name: str) -> None:
        nonlocal left
        left -= name == point
        if name == point and left == 0:
            raise Killed

    town.clock.set(taipei("2026-03-19 20:00"))
    no_texts(town)
    town.add(1, END, told=3)
    town.turn()
    town.clock.set(taipei("2026-03-19 20:59"))
    town.probe = kill
    for _ in range(3):
        try:
            town.turn()
        except Killed:
            town.restart()
        town.clock.set(town.clock.now() + timedelta(seconds=10))
    town.probe = lambda _point: None

    town.until("2026-03-19 23:59", every=HOUR / 4)

    assert len(town.sent()) == 1
    assert town.dead() == []
