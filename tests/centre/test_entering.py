"""Tries to have a one-time code accepted that must not be."""

from __future__ import annotations

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from centre.actions import CodeNotSent, CodeResult, CodeSent
from renewal.errors import NotNowError
from schema.reasons import RefusalReason
from simulation.client import BrowserKey
from tests.scenario.acts import SESSION
from tests.scenario.sample import BROWSER, CARD, TOKEN

if TYPE_CHECKING:
    from centre.actions import CodeAnswer
    from tests.scenario.scenario import Scenario

SECOND = timedelta(seconds=1)
TICK = timedelta(microseconds=1)


def enter(
    world: Scenario,
    sent: CodeSent,
    code: str,
    *,
    session: str = SESSION,
    action: str = "renew",
    certificate: int = BROWSER,
) -> CodeAnswer:
    return world.centre.enter_code(
        sent.challenge, code, session=session, action=action, certificate=certificate
    )


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10_000:04d}"


def tries_of(world: Scenario, sent: CodeSent) -> int:
    [(tries,)] = world.rows("SELECT tries FROM challenges WHERE id = :id", id=sent.challenge)
    return int(tries)


def at_once(world: Scenario, sent: CodeSent, code: str) -> Counter[CodeResult]:
    with ThreadPoolExecutor(60) as pool:
        answers = pool.map(lambda _: enter(world, sent, code).result, range(60))
        return Counter(answers)


@pytest.mark.shows("B09")
@pytest.mark.shows("D02")
def test_sixty_wrong_guesses_at_once_spend_three_tries(world: Scenario) -> None:
    sent, code = world.code()

    said = at_once(world, sent, wrong(code))

    assert tries_of(world, sent) == 3
    assert CodeResult.RIGHT not in said
    assert enter(world, sent, code).result is CodeResult.LOCKED


@pytest.mark.shows("B09")
def test_of_sixty_right_entries_at_once_one_succeeds(world: Scenario) -> None:
    sent, code = world.code()

    said = at_once(world, sent, code)

    assert said[CodeResult.RIGHT] == 1
    assert tries_of(world, sent) <= 3
    assert enter(world, sent, code).result is CodeResult.EXPIRED


@pytest.mark.shows("B09")
def test_a_new_request_kills_the_code_before_it(world: Scenario) -> None:
    first, old_code = world.code()
    second, code = world.code()

    assert enter(world, first, old_code).result is CodeResult.EXPIRED
    assert enter(world, second, old_code).result is CodeResult.WRONG or old_code == code
    assert enter(world, second, code).result is CodeResult.RIGHT


@pytest.mark.shows("B09")
def test_a_request_for_another_action_kills_the_code_too(world: Scenario) -> None:
    first, old_code = world.code()
    world.code(action="revoke")

    assert enter(world, first, old_code).result is CodeResult.EXPIRED


@pytest.mark.shows("B09")
def test_three_wrong_entries_kill_the_code(world: Scenario) -> None:
    sent, code = world.code()

    answers = [enter(world, sent, wrong(code)) for _ in range(3)]

    assert [(answer.result, answer.tries_left) for answer in answers] == [
        (CodeResult.WRONG, 2),
        (CodeResult.WRONG, 1),
        (CodeResult.LOCKED, 0),
    ]
    assert enter(world, sent, code).result is CodeResult.LOCKED


@pytest.mark.shows("B09")
@pytest.mark.parametrize(
    ("early", "said"),
    [
        (2 * TICK, CodeResult.RIGHT),  # the last moment: judged a tick later, it is used up in time
        (TICK, CodeResult.EXPIRED),  # the try is in time, its judgement is not
        (0 * TICK, CodeResult.EXPIRED),
        (-TICK, CodeResult.EXPIRED),
        (-SECOND, CodeResult.EXPIRED),
    ],
)
def test_a_code_is_late_by_a_microsecond(
    world: Scenario, early: timedelta, said: CodeResult
) -> None:
    sent, code = world.code()
    with world.app.store.snapshot() as look:
        challenge = look.challenges.get(sent.challenge)

    # A reading is a tick later, and what was typed is looked at before the try.
    world.clock.advance_to(challenge.expires_at - early - 2 * TICK)

    assert challenge.expires_at - challenge.issued_at == timedelta(seconds=60)
    assert enter(world, sent, code).result is said


@pytest.mark.parametrize(
    ("entered", "spent"),
    [
        ({"session": "another session"}, 0),
        ({"action": "revoke"}, 1),
        ({"action": "apply"}, 1),
        ({"certificate": TOKEN}, 1),
        ({"certificate": 99}, 1),
    ],
)
def test_a_code_is_for_one_session_action_and_certificate(
    world: Scenario, entered: dict[str, str], spent: int
) -> None:
    sent, code = world.code()

    answer = enter(world, sent, code, **entered)  # type: ignore[arg-type]

    assert answer.result is CodeResult.WRONG
    assert tries_of(world, sent) == spent
    assert enter(world, sent, code).result is CodeResult.RIGHT


def test_nobody_can_spend_the_tries_of_anothers_code(world: Scenario) -> None:
    sent, code = world.code()

    for _ in range(10):
        enter(world, sent, wrong(code), session="an attacker's session")

    assert enter(world, sent, code).result is CodeResult.RIGHT


def test_a_code_of_one_customer_does_nothing_for_another(
    world: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = world.app.policies.of("securities-browser")
    lax = replace(policy, confirm=replace(policy.confirm, present_key=False))
    monkeypatch.setitem(world.app.policies.by_product, "securities-browser", lax)
    sent, code = world.code()
    with world.app.store.transaction() as work:  # the certificate is somebody else's now
        work.certificates.change(work.certificates.get(TOKEN), product="securities-browser")

    renewal = world.centre.request(TOKEN)
    assert not isinstance(renewal, str)
    answer = world.centre.confirm(
        renewal.id,
        challenge=sent.challenge,
        code=code,
        session=SESSION,
        **world.handed_in(renewal, BrowserKey.new().request()),
    )

    assert answer.result is CodeResult.WRONG
    assert world.renewal(renewal.id).state == "requested"


def test_a_code_dies_with_the_number_it_was_sent_to(world: Scenario) -> None:
    sent, code = world.code()
    with world.app.store.transaction() as work:
        work.customers.change(work.customers.get(BROWSER), contact_version=2)

    assert enter(world, sent, code).result is CodeResult.WRONG


def test_a_resend_does_not_forgive_wrong_entries(world: Scenario) -> None:
    failures = 0
    while failures < 10:
        sent, code = world.code()
        for _ in range(min(3, 10 - failures)):
            enter(world, sent, wrong(code))
            failures += 1
        world.wait(minutes=11)

    assert isinstance(world.centre.send_code(BROWSER, action="renew", session=SESSION), CodeNotSent)
    world.wait(hours=24)
    assert isinstance(world.centre.send_code(BROWSER, action="renew", session=SESSION), CodeSent)


def test_the_eleventh_failure_is_locked_also_within_one_code(world: Scenario) -> None:
    for _ in range(3):
        sent, code = world.code()
        for _ in range(3):
            enter(world, sent, wrong(code))
        world.wait(minutes=11)
    sent, code = world.code()

    assert enter(world, sent, wrong(code)).result is CodeResult.WRONG  # the tenth
    assert enter(world, sent, code).result is CodeResult.LOCKED


def test_failures_of_one_purpose_do_not_lock_another(world: Scenario) -> None:
    for _ in range(4):
        sent, code = world.code()
        for _ in range(3):
            enter(world, sent, wrong(code))
        world.wait(minutes=11)

    assert isinstance(world.centre.send_code(BROWSER, action="renew", session=SESSION), CodeNotSent)
    assert isinstance(world.centre.send_code(BROWSER, action="revoke", session=SESSION), CodeSent)


@pytest.mark.parametrize("challenge", ["K00000001-0099", "K00000099-0001", "", "' OR 1=1 --"])
def test_an_unknown_code_is_answered_as_a_foreign_one(world: Scenario, challenge: str) -> None:
    sent, code = world.code()
    foreign = enter(world, sent, code, session="another")

    unknown = world.centre.enter_code(
        challenge, code, session=SESSION, action="renew", certificate=BROWSER
    )

    assert unknown == foreign


def test_what_cannot_be_sent_is_answered_alike(world: Scenario) -> None:
    answers = {
        world.centre.send_code(certificate, action="renew", session=SESSION)
        for certificate in (99, TOKEN, CARD)
    }

    assert answers == {CodeNotSent(why=RefusalReason.CODE_UNAVAILABLE.why())}


@pytest.mark.parametrize("action", ["", "pay", "RENEW"])
def test_a_code_for_an_unknown_action_is_refused_at_the_door(world: Scenario, action: str) -> None:
    with pytest.raises(ValueError, match="is not a valid Purpose"):
        world.centre.send_code(BROWSER, action=action, session=SESSION)

    assert world.rows("SELECT count(*) FROM challenges") == [(0,)]


@pytest.mark.parametrize("entered", ["", "12345", "１２３４", "abcd", " ", "\0" * 4, "9" * 10_000])
def test_garbage_for_a_code_is_wrong_and_no_more(world: Scenario, entered: str) -> None:
    sent, code = world.code()

    assert enter(world, sent, entered).result is CodeResult.WRONG
    assert enter(world, sent, code).result is CodeResult.RIGHT


def test_a_code_that_was_used_is_not_used_up_by_a_renewal_that_ended(world: Scenario) -> None:
    renewal = world.requested(BROWSER)
    sent, code = world.code()
    world.centre.decline(renewal.id)

    with pytest.raises(NotNowError):
        world.centre.confirm(
            renewal.id,
            challenge=sent.challenge,
            code=code,
            session=SESSION,
            **world.handed_in(renewal, BrowserKey.new().request()),
        )

    assert tries_of(world, sent) == 0


@pytest.mark.parametrize("action", ["password", "release", "export", "suspend"])
def test_a_code_is_measured_by_its_own_purpose_not_by_the_products_four_digits(
    world: Scenario, action: str
) -> None:
    sent, _ = world.code(action=action)
    body = world.outside("sms")[-1]["body"]
    code = re.findall(r"(?<!\d)\d{6}(?!\d)", body)[-1]

    answer = world.centre.enter_code(
        sent.challenge, code, session=SESSION, action=action, certificate=BROWSER
    )

    assert answer.result is CodeResult.RIGHT
