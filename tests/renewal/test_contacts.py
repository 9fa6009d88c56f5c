"""An address is given up only when its carrier says that it is bad."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from renewal.contacts import mark_contact, open_again
from renewal.db.rows import Message
from schema.policy import Channel
from tests.scenario.sample import BROWSER, open_sample
from tests.scenario.scenario import START, Scenario

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Scenario]:
    world = open_sample(tmp_path / "bank")
    yield world
    world.close()


@pytest.mark.parametrize(
    ("channel", "code", "bad"),
    [
        (Channel.MAIL, "5.1.1", "5.1.1"),
        (Channel.MAIL, "550", None),  # it may be "relaying denied"
        (Channel.MAIL, "5.1.1/data", None),  # said of the content
        (Channel.MAIL, "5.1.8", None),  # our own address
        (Channel.MAIL, "5.7.1", None),  # our content or our standing, not the address
        (Channel.MAIL, "5.2.2", None),  # a full mailbox is emptied again
        (Channel.SMS, "21614", "21614"),
        (Channel.SMS, "30007", None),  # the content was filtered
    ],
)
def test_an_address_is_marked_for_its_own_fault_only(
    world: Scenario, channel: Channel, code: str, bad: str | None
) -> None:
    with world.app.store.transaction() as work:
        mark_contact(work, message(channel, None), code)

    assert marked(world, channel) == bad


@pytest.mark.parametrize(("went_to", "bad"), [(b"old", None), (b"new", "21614"), (None, "21614")])
def test_it_is_the_address_to_which_the_message_went(
    world: Scenario, went_to: bytes | None, bad: str | None
) -> None:
    """A message of an older program does not say to which."""
    with world.app.store.transaction() as work:
        work.customers.change(work.customers.get(BROWSER), mobile_hash=b"new", mail_hash=b"newer")
    with world.app.store.transaction() as work:
        mark_contact(work, message(Channel.SMS, went_to), "21614")

    assert marked(world, Channel.SMS) == bad


def test_what_a_person_has_closed_no_carrier_opens(world: Scenario) -> None:
    with world.app.store.transaction() as work:
        row = work.customers.get(BROWSER)
        work.customers.change(row, mobile_bad="not theirs", mobile_bad_until=None)
        number = row.mobile_hash or b""

    with world.app.store.transaction() as work:
        mark_contact(work, message(Channel.SMS, number), "21614")
        opened = open_again(work, Channel.SMS, number, codes=False)

    assert opened == 0
    with world.app.store.snapshot() as look:
        row = look.customers.get(BROWSER)
    assert (row.mobile_bad, row.mobile_bad_until) == ("not theirs", None)


def message(channel: Channel, address_hash: bytes | None) -> Message:
    return Message(
        id="M1",
        kind="reminder",
        customer=BROWSER,
        channel=channel.value,
        state="undelivered",
        owed_at=START,
        claimed_at=START,
        handed_at=START,
        ended_at=START,
        carrier_id=None,
        code="",
        text_hash=b"",
        instead_of=None,
        renewal=None,
        version=1,
        address_hash=address_hash,
    )


def marked(world: Scenario, channel: Channel) -> str | None:
    with world.app.store.snapshot() as look:
        customer = look.customers.get(BROWSER)
    return customer.mail_bad if channel is Channel.MAIL else customer.mobile_bad
