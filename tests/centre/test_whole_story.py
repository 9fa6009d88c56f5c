"""Renews one certificate of each product from the request to the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.scenario.sample import BROWSER, CARD, TOKEN

if TYPE_CHECKING:
    from tests.scenario.scenario import Scenario


@pytest.mark.shows("B08")
@pytest.mark.shows("B18")
@pytest.mark.shows("D04")
def test_a_browser_certificate_is_renewed_and_the_old_one_revoked(world: Scenario) -> None:
    renewal, key = world.issued()

    world.centre.collect(renewal.id)
    world.centre.prove(renewal.id, key.sign(renewal.challenge))
    world.drain()

    done = world.renewal(renewal.id)
    assert done.state == "done"
    assert world.certificate(BROWSER).state == "revoked"
    assert world.certificate(done.new_certificate or 0).state == "active"
    assert world.status_at_ca(BROWSER) == "revoked"
    assert world.dead() == []


@pytest.mark.shows("D05")
@pytest.mark.shows("A12")
def test_a_token_and_a_card_are_renewed_at_one_station(world: Scenario) -> None:
    world.paid()
    renewals = [world.requested(TOKEN), world.requested(CARD)]

    world.at_the_branch(world.station(TOKEN, CARD))

    assert [world.renewal(renewal.id).state for renewal in renewals] == ["done", "done"]
    assert [world.certificate(number).state for number in (TOKEN, CARD)] == ["superseded"] * 2
    assert world.dead() == []
