"""Tries to have a one-time code accepted that must not be."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from centre.actions import CodeSaid, NotSent, Sent
from renewal.cycle import NotNowError
from tests.flows.world import BROWSER, CARD, SESSION, TERMS, TOKEN, World
from xuqi.demo.client import BrowserKey

if TYPE_CHECKING:
    from centre.actions import Answer

SECOND = timedelta(seconds=1)
TICK = timedelta(microseconds=1)


def enter(
    world: World,
    sent: Sent,
    code: str,
    *,
    session: str = SESSION,
    action: str = "renew",
    certificate: int = BROWSER,
) -> Answer:
    return world.centre.enter_code(
        sent.challenge, code, session=session, action=action, certificate=certificate
    )


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10_000:04d}"


def tries_of(world: World, sent: Sent) -> int:
    [(tries,)] = world.rows("SELECT tries FROM challenges WHERE id = :id", id=sent.challenge)
    return int(tries)


def at_once(world: World, sent: Sent, code: str) -> Counter[CodeSaid]:
    with ThreadPoolExecutor(60) as pool:
        answers = pool.map(lambda _: enter(world, sent, code).said, range(60))
        return Counter(answers)


@pytest.mark.shows("B09")
@pytest.mark.shows("D02")
def test_sixty_wrong_guesses_at_once_spend_three_tries(world: World) -> None:
    sent, code = world.code()

    said = at_once(world, sent, wrong(code))

    assert tries_of(world, sent) == 3
    assert CodeSaid.RIGHT not in said
    assert enter(world, sent, code).said is CodeSaid.LOCKED


@pytest.mark.shows("B09")
def test_of_sixty_right_entries_at_once_one_succeeds(world: World) -> None:
    sent, code = world.code()

    said = at_once(world, sent, code)

    assert said[CodeSaid.RIGHT] == 1
    assert tries_of(world, sent) <= 3
    assert enter(world, sent, code).said is CodeSaid.EXPIRED


@pytest.mark.shows("B09")
def test_a_new_request_kills_the_code_before_it(world: World) -> None:
    first, old_code = world.code()
    second, code = world.code()

    assert enter(world, first, old_code).said is CodeSaid.EXPIRED
    assert enter(world, second, old_code).said is CodeSaid.WRONG or old_code == code
    assert enter(world, second, code).said is CodeSaid.RIGHT


@pytest.mark.shows("B09")
def test_a_request_for_another_action_kills_the_code_too(world: World) -> None:
    first, old_code = world.code()
    world.code(action="revoke")

    assert enter(world, first, old_code).said is CodeSaid.EXPIRED


@pytest.mark.shows("B09")
def test_three_wrong_entries_kill_the_code(world: World) -> None:
    sent, code = world.code()

    answers = [enter(world, sent, wrong(code)) for _ in range(3)]

    assert [(answer.said, answer.tries_left) for answer in answers] == [
        (CodeSaid.WRONG, 2),
        (CodeSaid.WRONG, 1),
        (CodeSaid.LOCKED, 0),
    ]
    assert enter(world, sent, code).said is CodeSaid.LOCKED


@pytest.mark.shows("B09")
@pytest.mark.parametrize(
    ("early", "said"),
    [
        (2 * TICK, CodeSaid.RIGHT),  # the last moment: judged a tick later, it is used up in time
        (TICK, CodeSaid.EXPIRED),  # the try is in time, its judgement is not
        (0 * TICK, CodeSaid.EXPIRED),
        (-TICK, CodeSaid.EXPIRED),
        (-SECOND, CodeSaid.EXPIRED),
    ],
)
def test_a_code_is_late_by_a_microsecond(world: World, early: timedelta, said: CodeSaid) -> None:
    sent, code = world.code()
    with world.house.store.look() as look:
        challenge = look.challenges.get(sent.challenge)

    world.clock.advance_to(challenge.expires_at - early - TICK)  # a reading is a tick later

    assert challenge.expires_at - challenge.issued_at == timedelta(seconds=60)
    assert enter(world, sent, code).said is said


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
    world: World, entered: dict[str, str], spent: int
) -> None:
    sent, code = world.code()

    answer = enter(world, sent, code, **entered)  # type: ignore[arg-type]

    assert answer.said is CodeSaid.WRONG
    assert tries_of(world, sent) == spent
    assert enter(world, sent, code).said is CodeSaid.RIGHT


def test_nobody_can_spend_the_tries_of_anothers_code(world: World) -> None:
    sent, code = world.code()

    for _ in range(10):
        enter(world, sent, wrong(code), session="an attacker's session")

    assert enter(world, sent, code).said is CodeSaid.RIGHT


def test_a_code_of_one_customer_does_nothing_for_another(world: World) -> None:
    sent, code = world.code()
    with world.house.store.work() as work:  # the certificate is somebody else's now
        work.certificates.change(work.certificates.get(TOKEN), product="securities-browser")

    renewal = world.centre.request(TOKEN)
    assert not isinstance(renewal, str)
    answer = world.centre.confirm(
        renewal.id,
        challenge=sent.challenge,
        code=code,
        session=SESSION,
        csr=BrowserKey.new().request(),
        terms=TERMS,
    )

    assert answer.said is CodeSaid.WRONG
    assert world.renewal(renewal.id).state == "requested"


def test_a_code_dies_with_the_number_it_was_sent_to(world: World) -> None:
    sent, code = world.code()
    with world.house.store.work() as work:
        work.customers.change(work.customers.get(BROWSER), contact_version=2)

    assert enter(world, sent, code).said is CodeSaid.WRONG


def test_a_resend_does_not_forgive_wrong_entries(world: World) -> None:
    failures = 0
    while failures < 10:
        sent, code = world.code()
        for _ in range(min(3, 10 - failures)):
            enter(world, sent, wrong(code))
            failures += 1
        world.wait(minutes=11)

    assert isinstance(world.centre.send_code(BROWSER, action="renew", session=SESSION), NotSent)
    world.wait(hours=24)
    assert isinstance(world.centre.send_code(BROWSER, action="renew", session=SESSION), Sent)


def test_the_eleventh_failure_is_locked_also_within_one_code(world: World) -> None:
    for _ in range(3):
        sent, code = world.code()
        for _ in range(3):
            enter(world, sent, wrong(code))
        world.wait(minutes=11)
    sent, code = world.code()

    assert enter(world, sent, wrong(code)).said is CodeSaid.WRONG  # the tenth
    assert enter(world, sent, code).said is CodeSaid.LOCKED


def test_failures_of_one_purpose_do_not_lock_another(world: World) -> None:
    for _ in range(4):
        sent, code = world.code()
        for _ in range(3):
            enter(world, sent, wrong(code))
        world.wait(minutes=11)

    assert isinstance(world.centre.send_code(BROWSER, action="renew", session=SESSION), NotSent)
    assert isinstance(world.centre.send_code(BROWSER, action="revoke", session=SESSION), Sent)


@pytest.mark.parametrize("challenge", ["K00000001-0099", "K00000099-0001", "", "' OR 1=1 --"])
def test_an_unknown_code_is_answered_as_a_foreign_one(world: World, challenge: str) -> None:
    sent, code = world.code()
    foreign = enter(world, sent, code, session="another")

    unknown = world.centre.enter_code(
        challenge, code, session=SESSION, action="renew", certificate=BROWSER
    )

    assert unknown == foreign


def test_what_cannot_be_sent_is_answered_alike(world: World) -> None:
    answers = {
        world.centre.send_code(certificate, action="renew", session=SESSION)
        for certificate in (99, TOKEN, CARD)
    }

    assert answers == {NotSent(why="no code can be sent for this certificate")}


@pytest.mark.parametrize("action", ["", "pay", "RENEW"])
def test_a_code_for_an_unknown_action_is_refused_at_the_door(world: World, action: str) -> None:
    with pytest.raises(ValueError, match="is not a valid Purpose"):
        world.centre.send_code(BROWSER, action=action, session=SESSION)

    assert world.rows("SELECT count(*) FROM challenges") == [(0,)]


@pytest.mark.parametrize("entered", ["", "12345", "１２３４", "abcd", " ", "\0" * 4, "9" * 10_000])
def test_garbage_for_a_code_is_wrong_and_no_more(world: World, entered: str) -> None:
    sent, code = world.code()

    assert enter(world, sent, entered).said is CodeSaid.WRONG
    assert enter(world, sent, code).said is CodeSaid.RIGHT


def test_a_code_that_was_used_is_not_used_up_by_a_renewal_that_ended(world: World) -> None:
    renewal = world.requested(BROWSER)
    sent, code = world.code()
    world.centre.decline(renewal.id)

    with pytest.raises(NotNowError):
        world.centre.confirm(
            renewal.id,
            challenge=sent.challenge,
            code=code,
            session=SESSION,
            csr=BrowserKey.new().request(),
            terms=TERMS,
        )

    assert tries_of(world, sent) == 0
