"""An address is given up only when its carrier says that it is bad."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from renewal.contacts import mark_contact
from schema.policy import Channel
from tests.flows.world import BROWSER, World, open_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = open_world(tmp_path / "bank")
    yield world
    world.close()


@pytest.mark.parametrize(
    ("channel", "code", "bad"),
    [
        (Channel.MAIL, "5.1.1", "5.1.1"),
        (Channel.MAIL, "550", "550"),
        (Channel.MAIL, "5.7.1", None),  # our content or our standing, not the address
        (Channel.MAIL, "5.2.2", None),  # a full mailbox is emptied again
        (Channel.SMS, "21614", "21614"),
        (Channel.SMS, "30007", None),  # the content was filtered
    ],
)
def test_an_address_is_marked_for_its_own_fault_only(
    world: World, channel: Channel, code: str, bad: str | None
) -> None:
    with world.house.store.work() as work:
        mark_contact(work, BROWSER, channel, code)

    with world.house.store.look() as look:
        customer = look.customers.get(BROWSER)
    marked = customer.mail_bad if channel is Channel.MAIL else customer.mobile_bad
    assert marked == bad
