"""Guesses and asks over many customers from one block of addresses, each within its own limits."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from centre.actions import CodeNotSent, CodeResult, CodeSent
from centre.actions.enter_code import WRONG_IN_A_BLOCK, WRONG_OF_ALL
from renewal.rules.code import SENDS_AN_HOUR_FROM_A_BLOCK, SENDS_AN_HOUR_TO_A_RANGE, range_of
from renewal.store import alarms
from schema.reasons import RefusalReason
from tests.scenario.acts import SESSION
from tests.scenario.sample import BROWSER
from web.throttle import block_of

if TYPE_CHECKING:
    from centre.actions import Centre
    from tests.scenario.scenario import Scenario

BLOCK, OTHER = "203.0.113.0/24", "198.51.100.0/24"
HOUR = timedelta(hours=1, seconds=1)


def raised(world: Scenario) -> list[tuple[str, str]]:
    with world.store.snapshot() as look:
        return [(one.kind, one.code) for one in alarms.open_alarms(look)]


def guess(centre: Centre, number: int) -> CodeResult:
    """One guess at one more customer, each in a session of its own."""
    answer = centre.enter_code(
        f"K{number:08d}-0001", "0000", session=f"s{number}", action="renew", certificate=1
    )
    return answer.result


def send(centre: Centre) -> CodeSent | CodeNotSent:
    return centre.send_code(BROWSER, action="renew", session=SESSION)


@pytest.mark.parametrize(
    ("address", "block"),
    [
        ("203.0.113.7", "203.0.113.0/24"),
        ("2001:db8:1:2:3::9", "2001:db8:1::/48"),
        ("::ffff:203.0.113.7", "203.0.113.0/24"),
        ("no address", "unknown"),
    ],
)
def test_a_block_is_what_one_customer_may_have(address: str, block: str) -> None:
    assert block_of(address) == block


def test_one_guess_at_each_of_many_customers_from_one_block_is_seen_and_stopped(
    world: Scenario,
) -> None:
    theirs = world.centre.asked_from(BLOCK)

    said = [guess(theirs, number) for number in range(WRONG_IN_A_BLOCK + 1)]

    assert said[-2:] == [CodeResult.WRONG, CodeResult.LOCKED]
    assert raised(world) == [("guesses", BLOCK)]
    sent, code = world.code()
    said = [
        centre.enter_code(
            sent.challenge, code, session=SESSION, action="renew", certificate=BROWSER
        ).result
        for centre in (theirs, world.centre.asked_from(OTHER))
    ]
    assert said == [CodeResult.LOCKED, CodeResult.RIGHT]


def test_a_block_that_was_stopped_may_go_on_after_an_hour(world: Scenario) -> None:
    theirs = world.centre.asked_from(BLOCK)
    for number in range(WRONG_IN_A_BLOCK):
        guess(theirs, number)
    world.clock.advance_to(world.clock.now() + HOUR)

    assert guess(theirs, 1_000) is CodeResult.WRONG


def test_guesses_from_everywhere_are_an_alarm(world: Scenario) -> None:
    for number in range(WRONG_OF_ALL - 1):
        guess(world.centre.asked_from(f"10.0.{number}.0/24"), number)
    before = raised(world)

    guess(world.centre.asked_from("10.1.0.0/24"), 1_000)

    assert before == []
    assert raised(world) == [("guesses", "")]


@pytest.mark.parametrize("how", ["from one block", "to one range"])
def test_codes_asked_for_over_many_customers_are_limited_and_an_alarm(
    world: Scenario, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One customer stands for many here: what is theirs alone is not counted.
    monkeypatch.setattr("renewal.store.messages.codes_sent", lambda *_given: (0, 0))
    monkeypatch.setattr("renewal.store.messages.asked_for", lambda *_given: 0)
    blocks = [BLOCK] if how == "from one block" else [f"10.0.{n}.0/24" for n in range(256)]
    most = SENDS_AN_HOUR_FROM_A_BLOCK
    assert most == SENDS_AN_HOUR_TO_A_RANGE

    said = [send(world.centre.asked_from(blocks[n % len(blocks)])) for n in range(most + 1)]

    assert all(isinstance(one, CodeSent) for one in said[:-1])
    refused = said[-1]
    assert isinstance(refused, CodeNotSent)
    wanted, where = {
        "from one block": (RefusalReason.CODES_FROM_ADDRESSES, BLOCK),
        "to one range": (RefusalReason.CODES_TO_RANGE, "range"),
    }[how]
    assert refused.why.code is wanted
    assert raised(world) == [("pumping", where)]
    world.clock.advance_to(world.clock.now() + HOUR)
    assert isinstance(send(world.centre.asked_from(blocks[0])), CodeSent)


def test_a_range_is_a_number_without_its_last_digits() -> None:
    assert range_of("+886912345678") == "+886912345"
