"""Who is reminded when, on which channel, and why not."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from renewal.db.rows import Payment
from renewal.errors import GatewayUnavailableError, GatewayUnsureError
from renewal.gateways.mail.mailbox import MailUnavailable
from renewal.gateways.sms.mailbox import SmsAnswerLost, SmsRefused, SmsReported, SmsUnavailable
from renewal.gateways.sms.port import DeliveryReport
from renewal.outcome import Outcome
from renewal.store.messages import TextCounts, texts_since
from schema.codec import decode
from schema.events import MessageFailed
from tests.scenario.reminding import BROWSER, CARD, TOKEN, Scenario, got_a_notice, taipei

if TYPE_CHECKING:
    from datetime import datetime

    from renewal.gateways.sms.port import Sms

END = taipei("2026-03-20 23:59:59")  #: a Friday
MONDAY = "2026-03-02 09:00"


class Killed(BaseException):
    pass


def new_number(town: Scenario) -> dict[str, object]:
    return {
        "mobile_sealed": town.store.cipher.seal("+886955555555", "customers.mobile"),
        "mobile_hash": b"new",
        "contact_version": 2,
    }


def days_told(text: str) -> int:
    found = re.search(r"剩(\d+)天", text)
    assert found, text
    return int(found[1])


# --- which threshold, when ----------------------------------------------------------------------


@pytest.mark.shows("D06")
def test_each_threshold_is_told_once_on_its_day(town: Scenario) -> None:
    town.add(1, END, told=14)

    town.until("2026-04-25 00:00", every=timedelta(hours=3))

    days = [at[:10] for _, at in town.sent()]
    assert days == [
        "2026-03-13", "2026-03-17", "2026-03-19", "2026-03-20", "2026-03-23", "2026-04-07",
        "2026-04-16",
    ]  # fmt: skip # the 21st is a Saturday; 3-6 April are holidays
    assert {channel for channel, _ in town.sent()} == {"sms"}
    assert town.dead() == []


@pytest.mark.parametrize(
    ("back", "days"),
    [
        ("2026-02-23 10:00", 25),
        ("2026-03-16 10:00", 4),
        ("2026-03-19 20:59:59", 1),
        ("2026-03-20 09:00", 0),
    ],
)
def test_after_any_downtime_there_is_one_message_with_the_true_number_of_days(
    town: Scenario, back: str, days: int
) -> None:
    town.clock.set(taipei("2026-02-01 00:00"))
    town.add(1, END)

    town.at(back)
    town.turn()

    (text,) = town.texts()
    assert ("今日" in text) if days == 0 else days_told(text) == days


def test_the_day_after_the_last_message_nothing_more_is_told(town: Scenario) -> None:
    town.add(1, END, told=-27, look=taipei("2026-04-18 00:00"))

    town.until("2026-04-21 12:00")

    assert town.sent() == []
    assert town.certificate(1).state == "expired"


def test_lunar_new_year_is_not_disturbed_and_nothing_is_lost(town: Scenario) -> None:
    town.clock.set(taipei("2026-02-10 00:00"))
    town.add(1, taipei("2026-02-21 23:59:59"), told=14)
    town.add(2, taipei("2026-02-28 23:59:59"), told=30)

    town.until("2026-02-24 12:00", every=timedelta(hours=3))

    days = [(row["to"][-1], row["at"][:10]) for row in town.outside("sms")]
    # 14 to 22 February are days off; what expires within a day is told even then.
    urgent = [("1", "2026-02-20"), ("1", "2026-02-21")]
    assert days == [*urgent, ("1", "2026-02-23"), ("2", "2026-02-23")]


def test_a_saturday_that_is_made_up_for_is_a_day_like_others(town: Scenario) -> None:
    town.clock.set(taipei("2025-02-01 00:00"))
    town.add(1, taipei("2025-02-15 23:59:59"), told=14, look=taipei("2025-02-08 00:00"))

    town.until("2025-02-08 12:00")

    assert town.sent() == [("sms", "2025-02-08 09:00")]


def test_the_banks_own_lunar_new_year_is_kept(town: Scenario) -> None:
    own = "closed = [{ date = 2026-02-23 }]\nopen = [{ date = 2026-02-14, why = '補行上班' }]"
    (town.home / "days.toml").write_text(own)
    town.clock.set(taipei("2026-02-13 00:00"))
    town.add(1, taipei("2026-02-28 23:59:59"), told=30)
    town.add(2, taipei("2026-03-10 23:59:59"), told=30, look=taipei("2026-02-24 00:00"))

    town.until("2026-02-24 12:00", every=timedelta(hours=3))

    days = [(row["to"][-1], row["at"][:10]) for row in town.outside("sms")]
    assert days == [("1", "2026-02-14"), ("1", "2026-02-24"), ("2", "2026-02-24")]


def test_a_typhoon_announced_on_the_eve_holds_back_what_waits_for_the_morning(
    town: Scenario,
) -> None:
    town.clock.set(taipei("2026-03-09 00:00"))
    town.add(1, END, told=30, look=taipei("2026-03-09 22:00"))
    town.at("2026-03-09 22:00")
    town.turn()
    (town.home / "days.toml").write_text("typhoon = [{ date = 2026-03-10, why = '停班' }]")

    town.until("2026-03-11 12:00", every=timedelta(hours=1))

    assert town.sent() == [("sms", "2026-03-11 09:00")]


# --- merged -------------------------------------------------------------------------------------


@pytest.mark.shows("D06")
def test_two_certificates_of_a_customer_are_one_message(town: Scenario) -> None:
    town.add(1, END)
    town.add(2, END + timedelta(days=2), product=CARD, customer=1)

    town.turn()

    (text,) = town.texts()
    assert "2張" in text
    assert town.certificate(1).told == town.certificate(2).told == 30
    assert town.decisions(2)[-2:] == [("merged", ""), ("sent", "")]


def test_two_products_with_different_channels_are_one_message(town: Scenario) -> None:
    town.add(1, END, product=TOKEN)
    town.add(2, END, product=BROWSER, customer=1)

    town.turn()

    assert town.sent() == [("mail", MONDAY)]
    assert town.certificate(1).serial in town.letters()[0]
    assert town.certificate(2).serial in town.letters()[0]


def test_250_certificates_are_one_message(town: Scenario) -> None:
    for number in range(1, 251):
        town.add(number, END, product=TOKEN, customer=1)

    town.turn()

    (letter,) = town.letters()
    assert "其餘 150 張" in letter
    assert {town.certificate(number).told for number in range(1, 251)} == {30}


# --- quiet hours and the cap --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("looked", "sent"),
    [
        ("2026-03-06 08:59:59", "2026-03-06 09:00"),
        ("2026-03-06 12:29:59", "2026-03-06 12:29"),
        ("2026-03-06 12:30:00", "2026-03-06 13:30"),
        ("2026-03-06 20:59:59", "2026-03-06 20:59"),
        ("2026-03-06 21:00:00", "2026-03-09 09:00"),
    ],
)
def test_a_reminder_in_quiet_hours_is_sent_later_once(
    town: Scenario, looked: str, sent: str
) -> None:
    town.clock.set(taipei("2026-03-06 00:00"))
    town.add(1, END, told=30, look=taipei(looked))

    town.at(looked)
    town.clock.set(taipei("2026-03-06 08:30"))
    while town.clock.now() < taipei("2026-03-09 18:00"):
        if town.clock.now() > taipei(looked):
            town.turn()
        town.clock.set(town.clock.now().replace(microsecond=0) + timedelta(minutes=30))

    assert town.sent() == [("sms", sent)]


def test_two_certificates_at_different_hours_of_a_day_are_two_days_of_messages(
    town: Scenario,
) -> None:
    town.add(1, END)
    town.turn()
    town.add(2, END, customer=1)

    town.until("2026-03-04 18:00")

    assert town.sent() == [("sms", MONDAY), ("sms", "2026-03-03 09:00")]
    assert ("deferred", "one_sms_a_day") in town.decisions(2)


def test_a_message_handed_over_today_counts_today_whenever_it_was_claimed(town: Scenario) -> None:
    town.weather.sms = lambda _sms: SmsUnavailable()
    town.add(1, END)
    town.turn()
    town.weather.sms = lambda _sms: None
    town.at("2026-03-03 10:00")
    town.add(2, END, customer=1)

    town.until("2026-03-04 18:00")

    assert [at[:10] for _, at in town.sent()] == ["2026-03-03", "2026-03-04"]


@pytest.mark.parametrize(
    ("ends", "told", "sent"),
    [
        ("2026-03-05 23:59:59", 3, "2026-03-04 09:00"),  # step 1: tomorrow it would be step 0
        ("2026-03-04 23:59:59", 1, "2026-03-04 09:00"),  # step 0
        ("2026-03-07 23:59:59", 7, "2026-03-05 09:00"),  # step 3 has two days
        # Step -27: its window closes tomorrow, before the scheduler has looked again.
        ("2026-02-03 09:00:30", -14, "2026-03-04 09:00"),
    ],
)
@pytest.mark.parametrize("claimed", [False, True])
def test_a_notice_of_the_same_day_costs_a_reminder_a_day_but_not_its_step(
    town: Scenario, ends: str, told: int, sent: str, *, claimed: bool
) -> None:
    midnight = taipei("2026-03-04 00:00")
    if claimed:
        town.weather.sms = lambda _sms: SmsUnavailable()
        town.clock.set(taipei("2026-03-03 20:58"))
    look = town.clock.now() if claimed else midnight
    town.add(1, taipei(ends), told=told, look=look, mail=False)
    town.turn()
    town.clock.set(midnight)
    got_a_notice(town, 1, midnight)
    town.weather.sms = lambda _sms: None

    town.until("2026-03-05 12:00")

    assert town.sent()[0] == ("sms", sent)


@pytest.mark.parametrize("mail", [True, False])
def test_what_would_come_too_late_by_text_comes_by_mail_or_is_suppressed(
    town: Scenario, *, mail: bool
) -> None:
    town.clock.set(taipei("2026-03-19 00:00"))
    town.add(1, END, product=CARD, told=1, mail=mail)

    town.at("2026-03-20 21:30")
    town.until("2026-03-22 18:00")

    assert town.sent() == ([("mail", "2026-03-20 21:30")] if mail else [])
    if not mail:
        assert town.decisions(1)[-1] == ("suppressed", "reminder_window_closed")


# --- who cannot be reached ----------------------------------------------------------------------


def test_whoever_opted_out_is_not_told_and_the_reason_is_on_record(town: Scenario) -> None:
    town.add(1, END, opted_out=True)

    town.until("2026-03-05 12:00")

    assert town.sent() == []
    assert town.decisions(1) == [("suppressed", "opted_out")]


def test_whoever_has_no_address_is_called_by_the_branch(town: Scenario) -> None:
    town.add(1, END, mobile=False, mail=False)

    town.turn()

    assert town.sent() == []
    assert town.decisions(1) == [("branch call", "no_contact")]


def test_a_landline_gets_mail_and_no_further_text(town: Scenario) -> None:
    town.weather.sms = lambda _sms: SmsRefused()
    town.add(1, END)
    town.turn()
    town.weather.sms = lambda _sms: None

    town.until("2026-03-07 12:00")

    assert town.customer(1).mobile_bad == "21614"
    assert town.sent() == [("mail", MONDAY), ("mail", "2026-03-06 00:00")]


def test_when_both_channels_are_dead_the_branch_calls(town: Scenario) -> None:
    town.weather.sms = lambda _sms: SmsRefused()
    town.add(1, END, mail=False)

    town.turn()

    assert town.sent() == []
    assert town.decisions(1)[-1] == ("branch call", "no_contact")


@pytest.mark.parametrize("order", [("failed", "failed"), ("failed", "delivered", "failed")])
def test_reports_come_twice_and_in_any_order(town: Scenario, order: tuple[str, ...]) -> None:
    town.add(1, END)
    town.turn()
    (ref,) = (row["ref"] for row in town.outside("sms"))

    for report in order:
        final = DeliveryReport.DELIVERED if report == "delivered" else DeliveryReport.UNDELIVERED
        town.report(ref, final, "" if report == "delivered" else "30006")
        town.drain()

    assert town.sent() == [("sms", MONDAY), ("mail", MONDAY)]


def test_a_delivered_one_is_not_undelivered_afterwards(town: Scenario) -> None:
    town.add(1, END)
    town.turn()
    (ref,) = (row["ref"] for row in town.outside("sms"))

    assert town.report(ref, DeliveryReport.DELIVERED)
    assert not town.report(ref, DeliveryReport.UNDELIVERED, "30005")
    town.drain()

    assert town.sent() == [("sms", MONDAY)]
    assert town.customer(1).mobile_bad is None


def test_a_report_about_an_older_number_does_not_speak_against_the_new_one(town: Scenario) -> None:
    town.add(1, END)
    town.turn()
    (ref,) = (row["ref"] for row in town.outside("sms"))
    town.change_customer(1, **new_number(town))

    town.report(ref, DeliveryReport.UNDELIVERED, "30005")

    assert town.customer(1).mobile_bad is None


def test_a_refusal_of_the_new_number_speaks_against_it_though_the_text_is_older(
    town: Scenario,
) -> None:
    """It was claimed for the old one, and its carrier was away."""
    town.weather.sms = lambda _sms: SmsUnavailable()
    town.add(1, END, mail=False)
    town.turn()
    town.change_customer(1, **new_number(town))
    town.weather.sms = lambda _sms: SmsRefused(code="21614")

    town.until("2026-03-02 12:00")

    assert town.customer(1).mobile_bad == "21614"


def test_a_report_about_the_mobile_counts_though_the_mail_is_another_now(town: Scenario) -> None:
    town.add(1, END)
    town.turn()
    (ref,) = (row["ref"] for row in town.outside("sms"))
    sealed = town.store.cipher.seal("new@example.tw", "customers.mail")
    town.change_customer(1, mail_sealed=sealed, mail_hash=b"new", contact_version=2)

    town.report(ref, DeliveryReport.UNDELIVERED, "21614")

    assert town.customer(1).mobile_bad == "21614"


def test_an_undelivered_text_is_followed_by_mail_once(town: Scenario) -> None:
    town.weather.sms = lambda _sms: SmsReported(report=DeliveryReport.UNDELIVERED, code="30005")
    town.add(1, END)
    town.turn()

    town.clock.set(taipei("2026-03-02 10:00"))
    town.hear_reports()
    town.hear_reports()

    assert town.sent() == [("sms", MONDAY), ("mail", "2026-03-02 10:00")]


def test_six_hours_without_a_report_are_followed_by_mail(town: Scenario) -> None:
    town.weather.sms = lambda _sms: SmsReported(report=DeliveryReport.UNDER_WAY)
    town.add(1, END)
    town.turn()

    for moment in ("2026-03-02 14:59", "2026-03-02 15:01", "2026-03-02 21:01"):
        town.clock.set(taipei(moment))
        town.hear_reports()

    assert town.sent() == [("sms", MONDAY), ("mail", "2026-03-02 15:01")]


def test_each_step_without_a_report_is_followed_by_mail(town: Scenario) -> None:
    town.weather.sms = lambda _sms: SmsReported(report=DeliveryReport.UNDER_WAY)
    town.add(1, END, told=14, look=taipei("2026-03-13 00:00"))

    for moment in ("2026-03-13 10:00", "2026-03-13 17:00", "2026-03-17 10:00", "2026-03-17 17:00"):
        town.at(moment)
        town.hear_reports()

    assert [(channel, at[5:10]) for channel, at in town.sent()] == [
        ("sms", "03-13"), ("mail", "03-13"), ("sms", "03-17"), ("mail", "03-17"),
    ]  # fmt: skip


def test_a_mail_that_failed_at_night_is_followed_by_a_text_in_the_morning(town: Scenario) -> None:
    town.add(1, END, product=TOKEN)
    town.at("2026-03-02 22:00")
    (ref,) = (row["ref"] for row in town.outside("mail"))
    town.report(ref, DeliveryReport.UNDELIVERED, "5.1.1")

    town.drain()
    assert [channel for channel, _ in town.sent()] == ["mail"]
    town.until("2026-03-04 12:00")

    assert town.sent()[1:] == [("sms", "2026-03-03 09:00")]


NEW_YEAR = taipei("2026-02-21 23:59:59")  #: a holiday; nobody works from the 14th to the 22nd


def test_a_text_that_waits_for_a_business_day_keeps_no_urgent_step_waiting(town: Scenario) -> None:
    town.add(1, NEW_YEAR, product=TOKEN, told=14, look=taipei("2026-02-14 00:00"))
    town.at("2026-02-14 10:00")
    (ref,) = (row["ref"] for row in town.outside("mail"))
    town.report(ref, DeliveryReport.UNDELIVERED, "5.1.1")

    town.until("2026-02-24 12:00")

    last_days = [("sms", "2026-02-20 09:00"), ("sms", "2026-02-21 09:00")]
    assert town.sent() == [("mail", "2026-02-14 10:00"), *last_days]


def test_a_text_that_was_claimed_before_the_holidays_goes_with_the_first_urgent_step(
    town: Scenario,
) -> None:
    away = taipei("2026-02-13 21:00")
    town.weather.sms = lambda _sms: SmsUnavailable() if town.clock.now() < away else None
    town.add(1, NEW_YEAR, mail=False, told=30, look=taipei("2026-02-13 20:50"))

    town.at("2026-02-13 20:50")
    town.until("2026-02-22 12:00", every=timedelta(minutes=10))

    assert town.sent() == [("sms", "2026-02-20 09:00"), ("sms", "2026-02-21 09:00")]


def test_a_text_whose_answer_was_lost_before_the_holidays_is_found_out_in_time(
    town: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was not sent, and goes with the first step that is urgent."""
    carrier = town.app.gateways.sms
    away, send, find = taipei("2026-02-13 21:00"), carrier.send, carrier.find

    def lost(sms: Sms) -> str:
        if town.clock.now() < away:
            raise GatewayUnsureError("the line broke")
        return send(sms)

    def asked(sms: Sms, *, since: datetime) -> str | None:
        if town.clock.now() < away:
            raise GatewayUnavailableError("the carrier is away")
        return find(sms, since=since)

    monkeypatch.setattr(town.app.gateways.sms, "send", lost)
    monkeypatch.setattr(town.app.gateways.sms, "find", asked)
    town.add(1, NEW_YEAR, mail=False, told=30, look=taipei("2026-02-13 20:50"))

    town.at("2026-02-13 20:50")
    town.until("2026-02-22 12:00", every=timedelta(minutes=10))

    assert town.sent() == [("sms", "2026-02-20 09:00"), ("sms", "2026-02-21 09:00")]


def test_a_text_of_yesterday_that_is_being_handed_over_is_one_of_todays(town: Scenario) -> None:
    """Another member looks at that moment whether the day is free."""
    town.weather.sms = lambda _sms: SmsUnavailable()
    town.add(1, END, mail=False)
    town.at("2026-03-02 20:50")
    consumer = town.runner_of("reminders").consumer
    (body,) = town.rows("SELECT body FROM parked")[0]
    town.clock.set(taipei("2026-03-03 09:00"))

    with town.store.transaction() as work:
        consumer.preload([decode(body)], work)
        begun = consumer.prepare(decode(body), work, outcome_unknown=False)

    assert not isinstance(begun, Outcome)
    with town.store.transaction() as work:
        assert texts_since(work, [1], taipei("2026-03-03 00:00")) == {1: TextCounts(reminders=1)}


def test_a_failure_that_is_heard_after_a_later_threshold_is_no_second_message(
    town: Scenario,
) -> None:
    town.add(1, END, product=TOKEN, told=14, look=taipei("2026-03-13 00:00"))
    town.at("2026-03-13 10:00")
    town.at("2026-03-17 10:00")
    first, second = (row["ref"] for row in town.outside("mail"))

    for ref in (first, second):
        town.report(ref, DeliveryReport.UNDELIVERED, "5.1.1")
        town.drain()

    assert [channel for channel, _ in town.sent()] == ["mail", "mail", "sms"]


# --- carriers that are away ---------------------------------------------------------------------


@pytest.mark.parametrize("hours", [1, 6, 12, 30])
def test_a_carrier_that_is_away_gets_the_message_once_when_it_is_back(
    town: Scenario, hours: int
) -> None:
    town.weather.sms = lambda _sms: SmsUnavailable()
    town.add(1, END)
    town.turn()
    town.until(taipei(MONDAY) + timedelta(hours=hours))
    town.restart()
    town.weather.sms = lambda _sms: None

    town.until("2026-03-05 18:00")

    (text,) = town.texts()
    assert days_told(text) == (18 if hours < 12 else 17)
    assert town.dead() == []


def test_a_message_that_waited_over_a_threshold_tells_that_one_too(town: Scenario) -> None:
    town.clock.set(taipei("2026-03-16 09:00"))
    town.weather.sms = lambda _sms: SmsUnavailable()
    town.add(1, END, told=14, mail=False)
    town.turn()
    town.until("2026-03-17 10:00")
    town.weather.sms = lambda _sms: None

    town.until("2026-03-18 18:00")

    (text,) = town.texts()
    assert days_told(text) == 3
    assert town.certificate(1).told == 3


@pytest.mark.parametrize("restarted", [False, True])
def test_a_lost_answer_is_asked_for_before_anything_is_sent_again(
    town: Scenario, *, restarted: bool
) -> None:
    lost = [True]
    town.weather.sms = lambda _sms: SmsAnswerLost() if lost.pop() else None
    town.add(1, END)
    town.turn()
    if restarted:
        town.restart()

    town.until("2026-03-03 12:00")

    assert town.sent() == [("sms", MONDAY)]
    assert town.rows("SELECT state FROM messages") == [("handed over",)]


def test_a_misconfigured_lane_keeps_its_messages_and_burns_no_tries(town: Scenario) -> None:
    broken = [True]

    def fault(_sms: Sms) -> None:
        if broken[0]:
            error = GatewayUnavailableError("not let in")
            error.spends_a_try = False
            raise error

    town.weather.sms = fault
    for number in range(1, 6):
        town.add(number, END)
    town.turn()
    town.until("2026-03-05 12:00")
    assert {tries for (tries,) in town.rows("SELECT tries FROM parked")} == {0}

    broken[0] = False
    town.until("2026-03-05 18:00", every=timedelta(minutes=5))

    assert [at[:10] for _, at in town.sent()] == ["2026-03-05"] * 5
    assert town.dead() == []


@pytest.mark.parametrize(
    "point", ["begin", "after intent", "before the call", "after the call", "after answer",
              "before commit", "committed", "before the offset"]
)  # fmt: skip
@pytest.mark.parametrize("channel", ["sms", "mail"])
def test_a_process_that_is_killed_at_any_point_sends_once(
    town: Scenario, point: str, channel: str
) -> None:
    def kill(name: str) -> None:
        if name == point:
            raise Killed

    town.add(1, END, product=BROWSER if channel == "sms" else TOKEN)
    town.probe = kill
    with pytest.raises(Killed):
        town.turn()
    town.probe = lambda _point: None
    town.restart()

    town.until("2026-03-03 12:00")

    assert [sent for sent, _ in town.sent()] == [channel]
    assert town.dead() == []


# --- in vain ------------------------------------------------------------------------------------


def waiting(town: Scenario, *, product: str = BROWSER) -> None:
    """A message that is claimed and not sent: its carrier is away."""
    town.weather.sms = lambda _sms: SmsUnavailable()
    town.weather.mail = lambda _mail: MailUnavailable()
    town.add(1, END, product=product)
    town.turn()
    town.weather.sms = lambda _sms: None
    town.weather.mail = lambda _mail: None


def test_a_renewal_begun_between_claim_and_sending_withdraws_the_message(town: Scenario) -> None:
    waiting(town)
    renewal = town.request(1)

    town.until("2026-03-03 12:00")
    assert town.sent() == []
    assert town.rows("SELECT state FROM messages") == [("suppressed",)]

    town.abandon(renewal)
    town.until("2026-03-04 12:00")
    assert town.sent() == [("sms", "2026-03-03 14:00")]  # from 12:30 to 13:30 nobody is disturbed
    assert days_told(town.texts()[0]) == 17


def test_a_payment_between_claim_and_sending_withdraws_the_message(town: Scenario) -> None:
    waiting(town, product=TOKEN)
    with town.store.transaction() as work:
        work.payments.put(
            Payment(
                id="P1",
                customer=1,
                certificate=1,
                amount=900,
                pays_for="R1",
                state="paid",
                renewal=None,
                asked_at=work.at,
                version=1,
            )
        )

    town.until("2026-03-03 12:00")

    assert town.sent() == []
    assert town.decisions(1)[-1] == ("suppressed", "reminder_paid")


@pytest.mark.parametrize("lost", [False, True])
def test_a_merged_message_is_sent_without_what_is_being_renewed(
    town: Scenario, *, lost: bool
) -> None:
    town.weather.sms = lambda _sms: SmsAnswerLost() if lost else SmsUnavailable()
    town.add(1, END)
    town.add(2, END, customer=1)
    town.turn()
    town.weather.sms = lambda _sms: None
    renewal = town.request(2)

    town.until("2026-03-03 12:00")

    (text,) = town.texts()
    assert ("2張" in text) is lost
    assert town.certificate(1).told == 30
    assert town.certificate(2).told == (30 if lost else None)
    town.abandon(renewal)
    town.until("2026-03-05 12:00")
    assert len(town.texts()) == (1 if lost else 2)
    assert town.dead() == []


def test_the_last_threshold_is_not_lost_with_a_withdrawn_message(town: Scenario) -> None:
    town.clock.set(taipei("2026-04-16 09:00"))
    town.weather.sms = lambda _sms: SmsUnavailable()
    town.add(1, END, told=-14)
    town.turn()
    town.weather.sms = lambda _sms: None
    renewal = town.request(1)
    town.at("2026-04-16 10:00")
    assert town.certificate(1).told == -14

    town.abandon(renewal)
    town.until("2026-04-17 12:00")

    assert [at for _, at in town.sent()] == ["2026-04-16 11:00"]


def test_a_suspended_certificate_is_silent_and_then_told_the_most_urgent_only(
    town: Scenario,
) -> None:
    town.clock.set(taipei("2026-03-05 12:00"))
    town.add(1, END, told=30, look=taipei("2026-03-06 00:00"))
    town.suspend(1)
    town.until("2026-03-18 12:00", every=timedelta(hours=6))
    assert town.sent() == []

    town.resume(1)
    town.until("2026-03-18 18:00")

    (text,) = town.texts()
    assert days_told(text) == 2


def test_a_certificate_under_way_is_silent_and_its_steps_come_back(town: Scenario) -> None:
    town.clock.set(taipei("2026-03-12 12:00"))
    town.add(1, END, told=14, look=taipei("2026-03-13 00:00"))
    renewal = town.request(1)
    town.until("2026-03-18 12:00", every=timedelta(hours=6))
    assert town.sent() == []
    assert ("suppressed", "reminder_renewal_under_way") in town.decisions(1)

    town.abandon(renewal)
    town.until("2026-03-20 18:00")

    assert [at[:10] for _, at in town.sent()] == ["2026-03-18", "2026-03-19", "2026-03-20"]


def test_a_waiting_message_whose_address_is_gone_takes_the_next_channel(town: Scenario) -> None:
    waiting(town)
    town.change_customer(1, mobile_sealed=None, mobile_hash=None)

    town.until("2026-03-02 12:00")

    assert [channel for channel, _ in town.sent()] == ["mail"]
    assert town.dead() == []


def test_a_waiting_message_to_one_who_opts_out_is_not_sent(town: Scenario) -> None:
    waiting(town)
    town.change_customer(1, opted_out=True)

    town.until("2026-03-03 12:00")

    assert town.sent() == []
    assert town.decisions(1)[-1] == ("suppressed", "opted_out")


def test_a_waiting_message_whose_window_has_closed_is_not_sent(town: Scenario) -> None:
    town.clock.set(taipei("2026-03-20 20:00"))
    town.weather.sms = lambda _sms: SmsUnavailable()
    town.add(1, END, product=CARD, told=1, mail=False)
    town.turn()

    town.until("2026-03-22 12:00")
    town.weather.sms = lambda _sms: None
    town.until("2026-03-23 12:00")

    assert town.sent() == []
    assert town.certificate(1).state == "expired"
    assert town.rows("SELECT count(*) FROM parked") == [(0,)]


# --- one bad one ---------------------------------------------------------------------------------


def test_a_certificate_without_a_policy_or_a_customer_keeps_nobody_waiting(town: Scenario) -> None:
    town.add(1, END, product="gone")
    town.add(2, END)
    town.change(2, customer=None)
    town.add(3, END)

    town.turn()
    town.turn()

    assert town.sent() == [("sms", MONDAY)]
    assert town.certificate(2).remind_at is None
    assert town.certificate(1).remind_at is not None


def test_a_failure_of_a_message_that_nobody_knows_is_no_message(town: Scenario) -> None:
    town.add(1, END, told=30)
    with town.store.transaction() as work:
        work.emit(MessageFailed(message="M-unknown", customer=1, code="30005"))

    town.turn()

    assert town.sent() == []
    assert town.dead() == []
