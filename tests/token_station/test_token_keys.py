"""Gives each token a management key of its own, and still opens those that have the common one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from renewal.rules.token_keys import WriteKeys, key_of_token
from tests.scenario.sample import CARD, TOKEN
from token_station.errors import NotAuthorizedError
from token_station.piv.session import PivSession

if TYPE_CHECKING:
    from tests.scenario.scenario import Scenario
    from token_station.simulator.card import SimulatedCard

BY_HAND = "4c49939c8e899b1622e20d31d1cff0b7ebf189f1abd47a9e"


def session_of(world: Scenario, card: SimulatedCard) -> PivSession:
    card.power_on()
    return PivSession(card, WriteKeys(world.app.keys.tokens.value))


def test_the_key_of_a_token_is_its_own_and_as_long_as_the_common_one() -> None:
    keys = {key_of_token(b"m" * 24, serial) for serial in ("1", "2", "3")}

    assert len(keys) == 3
    assert {len(key) for key in keys} == {24}
    # NIST SP 800-108r1, 4.1, computed by hand: HMAC(K, 1 || label || 0 || context || 192)
    assert key_of_token(b"m" * 24, "1").hex() == BY_HAND


def test_a_token_that_was_taken_over_knows_its_own_key_alone_and_renews(world: Scenario) -> None:
    card = world.cards[CARD]
    session_of(world, card).take_over()
    renewal = world.requested(CARD)

    card.power_on()
    with pytest.raises(NotAuthorizedError):
        PivSession(card, world.app.keys.tokens.value).authorize_write()
    other = WriteKeys(world.app.keys.tokens.value).own(world.cards[TOKEN].serial)
    assert other is not None
    card.power_on()
    with pytest.raises(NotAuthorizedError):
        PivSession(card, other).authorize_write()
    card.power_off()
    world.at_the_branch(world.station(CARD))

    assert world.renewal(renewal.id).state == "done"


def test_taking_over_twice_changes_nothing(world: Scenario) -> None:
    card = world.cards[TOKEN]

    for _ in range(2):
        session_of(world, card).take_over()

    session_of(world, card).authorize_write()
