"""Tries to have a one-time code sent twice, late, too often, or to the wrong place."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from centre.actions import CodeNotSent, CodeResult, CodeSent
from renewal.gateways.sms.mailbox import SmsAnswerLost, SmsRefused, SmsUnavailable
from schema.reasons import DeliveryReason, RefusalReason
from tests.scenario.acts import SESSION
from tests.scenario.rows import mobile_of
from tests.scenario.sample import BROWSER, open_sample, policies_with

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from renewal.gateways.sms.mailbox import Outcome
    from renewal.gateways.sms.port import Sms
    from tests.scenario.scenario import Scenario


def send(
    world: Scenario, action: str = "renew", certificate: int = BROWSER
) -> CodeSent | CodeNotSent:
    return world.centre.send_code(certificate, action=action, session=SESSION)


def once(world: Scenario, outcome: Outcome) -> None:
    """The next text message meets this; those after it meet nothing."""
    waiting = [outcome]
    world.weather.sms = lambda _sms: waiting.pop() if waiting else None


def message_states(world: Scenario) -> list[str]:
    return [state for (state,) in world.rows("SELECT state FROM messages ORDER BY id")]


@pytest.mark.shows("B10")
@pytest.mark.shows("D02")
def test_a_code_for_a_renewal_goes_to_the_mobile_alone_and_shows_it_masked(world: Scenario) -> None:
    sent = send(world)
    world.drain()

    assert isinstance(sent, CodeSent)
    assert sent.to == ("0912****71",)
    assert sent.seconds == 60
    assert [line["to"] for line in world.outside("sms")] == [mobile_of(BROWSER)]
    assert world.outside("mail") == []


@pytest.mark.shows("B10")
def test_a_code_for_an_application_goes_to_the_mail_too(world: Scenario) -> None:
    sent = send(world, "apply")
    world.drain()

    assert isinstance(sent, CodeSent)
    assert sent.to == ("0912****71", "w*****1@example.com.tw")
    [code] = world.texted()
    [mail] = world.outside("mail")
    assert code in mail["body"]


@pytest.fixture
def mail_for_all(tmp_path: Path) -> Iterator[Scenario]:
    """A house whose own policy sends codes for renewals to the mail, too."""
    said, instead = 'mail_too_for = ["apply"]', 'mail_too_for = ["renew"]'
    policies = policies_with(tmp_path / "policies", said, instead)
    opened = open_sample(tmp_path / "home", policies=policies)
    yield opened
    opened.close()


def test_a_policy_says_what_goes_to_the_mail_too(mail_for_all: Scenario) -> None:
    sent = send(mail_for_all)
    mail_for_all.drain()

    assert isinstance(sent, CodeSent)
    assert len(sent.to) == 2
    assert len(mail_for_all.outside("mail")) == len(mail_for_all.outside("sms")) == 1


def test_a_policy_without_mail_for_it_sends_none(mail_for_all: Scenario) -> None:
    send(mail_for_all, "apply")
    mail_for_all.drain()

    assert len(mail_for_all.outside("sms")) == 1
    assert mail_for_all.outside("mail") == []


@pytest.mark.parametrize(
    "trouble", [SmsUnavailable(retry_after=timedelta(seconds=5)), SmsAnswerLost()]
)
def test_trouble_on_one_channel_does_not_send_twice_on_the_other(
    mail_for_all: Scenario, trouble: Outcome
) -> None:
    once(mail_for_all, trouble)

    send(mail_for_all)
    mail_for_all.drain_over(timedelta(seconds=50), step=timedelta(seconds=2))

    assert len(mail_for_all.outside("sms")) == 1
    assert len(mail_for_all.outside("mail")) == 1
    assert message_states(mail_for_all) == ["handed over", "handed over"]


def test_a_bad_mail_address_does_not_keep_the_text_message_back(mail_for_all: Scenario) -> None:
    with mail_for_all.app.store.transaction() as work:
        work.customers.change(work.customers.get(BROWSER), mail_bad="5.1.1")

    sent = send(mail_for_all)
    mail_for_all.drain()

    assert isinstance(sent, CodeSent)
    assert len(sent.to) == 1
    assert len(mail_for_all.outside("sms")) == 1


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_lost_answer_is_asked_for_and_nothing_is_sent_twice(world: Scenario, lost: int) -> None:
    left = [SmsAnswerLost()] * lost
    world.weather.sms = lambda _sms: left.pop() if left else None

    send(world)
    world.drain_over(timedelta(seconds=50), step=timedelta(seconds=1))

    assert len(world.outside("sms")) == 1
    assert message_states(world) == ["handed over"]


def test_a_send_that_was_killed_is_looked_for_first(world: Scenario) -> None:
    class PowerCutError(BaseException):
        pass

    def cut(point: str) -> None:
        if point == "after the call":
            raise PowerCutError

    send(world)
    otp = world.app.consumers()[0]
    dying = world.app.runner(otp, probe=cut)
    with pytest.raises(PowerCutError):
        dying.run_once()
    dying.reader.close()
    world.drain_over(timedelta(seconds=50), step=timedelta(seconds=5))

    assert len(world.outside("sms")) == 1
    assert message_states(world) == ["handed over"]


def test_a_redelivered_event_sends_the_same_digits(world: Scenario) -> None:
    bodies: list[str] = []

    def down_twice(sms: Sms) -> Outcome | None:
        bodies.append(sms.body)
        return SmsUnavailable(retry_after=timedelta(seconds=2)) if len(bodies) < 3 else None

    world.weather.sms = down_twice
    sent = send(world)
    assert isinstance(sent, CodeSent)
    world.drain_over(timedelta(seconds=40), step=timedelta(seconds=2))

    assert len(bodies) == 3
    assert len(set(bodies)) == 1
    answer = world.centre.enter_code(
        sent.challenge, world.texted()[-1], session=SESSION, action="renew", certificate=BROWSER
    )
    assert answer.result is CodeResult.RIGHT


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("late", "code_too_late"),
        ("superseded", None),  # the newer one goes out
        ("no tries left", "code_has_no_tries"),
        ("contact changed", "contact_changed"),
    ],
)
def test_a_command_that_has_lost_its_sense_is_dropped(
    world: Scenario, how: str, why: str | None
) -> None:
    sent = send(world)
    assert isinstance(sent, CodeSent)
    match how:
        case "late":
            world.wait(seconds=60)
        case "superseded":
            send(world)
        case "contact changed":
            with world.app.store.transaction() as work:
                work.customers.change(work.customers.get(BROWSER), contact_version=2)
        case "no tries left":
            for _ in range(3):
                world.centre.enter_code(
                    sent.challenge, "0000", session=SESSION, action="renew", certificate=BROWSER
                )

    world.drain()

    assert len(world.outside("sms")) == (why is None)
    if why is not None:
        assert ("dropped", why) in world.decisions(BROWSER, "code")


def test_a_command_that_waited_for_its_carrier_is_dropped_when_late(world: Scenario) -> None:
    world.weather.sms = lambda _sms: SmsUnavailable(retry_after=timedelta(seconds=30))

    send(world)
    world.drain_over(timedelta(minutes=5), step=timedelta(seconds=10))
    world.weather.sms = lambda _sms: None
    world.drain_over(timedelta(minutes=5))

    assert world.outside("sms") == []
    assert message_states(world) == ["suppressed"]
    assert world.rows("SELECT count(*) FROM parked") == [(0,)]


def test_no_text_message_outlives_its_code(world: Scenario) -> None:
    lives: list[timedelta | None] = []

    def noted(sms: Sms) -> Outcome | None:
        lives.append(sms.valid_for)
        return SmsUnavailable(retry_after=timedelta(seconds=20)) if len(lives) == 1 else None

    world.weather.sms = noted
    send(world)
    world.drain_over(timedelta(seconds=55), step=timedelta(seconds=5))

    assert [life is not None and life <= timedelta(seconds=60) for life in lives] == [True] * 2
    assert lives[1] is not None
    assert lives[1] < timedelta(seconds=51)


@pytest.mark.parametrize("code", ["21614", "21610", "30003"])
def test_a_refused_text_message_is_not_tried_again_unless_it_is_asked_for(
    world: Scenario, code: str
) -> None:
    world.weather.sms = lambda _sms: SmsRefused(code=code)

    send(world)
    world.drain_over(timedelta(minutes=2))

    assert message_states(world) == ["undelivered"]
    refused = DeliveryReason.CARRIER_CODE.why(code=code).stored()
    assert world.decisions(BROWSER, "code")[-1] == ("failed", refused)
    assert world.rows("SELECT mobile_bad FROM customers WHERE id = 1") == [(None,)]
    assert isinstance(send(world), CodeSent)


def test_a_number_that_twice_was_no_mobile_gets_no_code_until_tomorrow(world: Scenario) -> None:
    world.weather.sms = lambda _sms: SmsRefused(code="21614")
    for _ in range(2):
        send(world)
        world.drain()

    refused = send(world)
    world.wait(days=1, minutes=1)

    assert isinstance(refused, CodeNotSent)
    assert refused.why == RefusalReason.CODES_REST.why(code="21614")
    assert isinstance(send(world), CodeSent)


def test_what_was_said_of_reminders_keeps_no_code_back(world: Scenario) -> None:
    with world.app.store.transaction() as work:
        work.customers.change(work.customers.get(BROWSER), mobile_bad="21614")

    assert isinstance(send(world), CodeSent)


@pytest.mark.parametrize("field", ["mobile_sealed", "codes_bad"])
def test_without_a_usable_mobile_no_code_is_made(world: Scenario, field: str) -> None:
    with world.app.store.transaction() as work:
        change = {field: None if field == "mobile_sealed" else "30005"}
        work.customers.change(work.customers.get(BROWSER), **change)

    assert isinstance(send(world), CodeNotSent)
    assert world.rows("SELECT count(*) FROM challenges") == [(0,)]


def test_a_mobile_that_is_lost_before_the_sending_is_no_trouble(world: Scenario) -> None:
    send(world)
    with world.app.store.transaction() as work:
        work.customers.change(work.customers.get(BROWSER), mobile_sealed=None, mobile_hash=None)

    world.drain()

    assert world.decisions(BROWSER, "code")[-1] == ("not sent", "code_no_mobile")
    assert world.dead() == []


def test_at_most_five_codes_in_ten_minutes_and_ten_a_day(world: Scenario) -> None:
    day = [send(world)]
    answers = [send(world) for _ in range(5)]
    world.wait(minutes=10)
    day += [send(world) for _ in range(6)]

    assert [isinstance(answer, CodeSent) for answer in answers] == [True] * 4 + [False]
    assert answers[-1] == CodeNotSent(why=RefusalReason.CODES_IN_TEN_MINUTES.why())
    assert [isinstance(answer, CodeSent) for answer in day] == [True] + [True] * 5 + [False]
    world.wait(minutes=10)
    assert send(world) == CodeNotSent(why=RefusalReason.CODES_TODAY.why())
    world.wait(hours=24)
    assert isinstance(send(world), CodeSent)


def test_a_phone_of_many_customers_gets_no_more_codes_than_one(world: Scenario) -> None:
    with world.app.store.transaction() as work:
        first = work.customers.get(BROWSER)
        for number in (2, 3):
            work.customers.change(work.customers.get(number), mobile_hash=first.mobile_hash)
            work.certificates.change(work.certificates.get(number), product="securities-browser")

    answers = [send(world, certificate=1 + turn % 3) for turn in range(6)]

    assert [isinstance(answer, CodeSent) for answer in answers] == [True] * 5 + [False]


def test_a_refused_request_leaves_the_code_that_is_alive(world: Scenario) -> None:
    for _ in range(5):
        sent, code = world.code()

    assert isinstance(send(world), CodeNotSent)
    answer = world.centre.enter_code(
        sent.challenge, code, session=SESSION, action="renew", certificate=BROWSER
    )
    assert answer.result is CodeResult.RIGHT
