"""Pulls the token at every command of a PIN change and of an unblocking: no try is wasted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from renewal.rules.proof import verify_possession
from tests.token_station.tokens import PIN, PUK, WRONG_PIN, Desk
from token_station.errors import (
    CardRemovedError,
    LastTryError,
    PinBlockedError,
    PinWrongError,
    PukBlockedError,
)
from token_station.simulator.card import SimulatedCard

if TYPE_CHECKING:
    from collections.abc import Callable

    from token_station.piv.session import PivSession

NEW_PIN = "246802"
MOMENTS = ("before", "after")
#: Commands of a visit: select, serial, and then those of the deed.
CHANGE, UNBLOCK = 4, 3


def change(session: PivSession) -> None:
    session.change_pin(PIN, NEW_PIN)


def unblock(session: PivSession) -> None:
    session.unblock_pin(PUK, NEW_PIN)


DEEDS = [
    *((change, command, CHANGE) for command in range(1, CHANGE + 1)),
    *((unblock, command, UNBLOCK) for command in range(1, UNBLOCK + 1)),
]


def insert_again(desk: Desk) -> None:
    desk.card = SimulatedCard(desk.card_path, desk.manners, desk.ledger)
    desk.reader.insert(desk.card)


@pytest.mark.parametrize(("deed", "commands"), [(change, CHANGE), (unblock, UNBLOCK)])
def test_a_deed_takes_so_many_commands(
    desk: Desk, deed: Callable[[PivSession], None], commands: int
) -> None:
    session, counted = desk.counted_session()

    deed(session)

    assert len(counted.frames) == commands


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(("deed", "command", "last"), DEEDS)
def test_a_token_pulled_at_any_command_has_the_old_pin_or_the_new_one(
    desk: Desk, deed: Callable[[PivSession], None], command: int, last: int, moment: str
) -> None:
    (desk.reader.pull_before if moment == "before" else desk.reader.pull_after)(command)
    with pytest.raises(CardRemovedError):
        deed(desk.session())

    insert_again(desk)

    done = command == last and moment == "after"
    session = desk.session()
    verify_possession(
        desk.old, b"works", session.sign("9C", b"works", pin=NEW_PIN if done else PIN)
    )
    assert desk.card.pin_left == desk.manners.pin_tries
    assert desk.card.puk_left == desk.manners.puk_tries


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_wrong_pin_whose_answer_is_lost_has_cost_one_try_and_no_more(
    desk: Desk, moment: str
) -> None:
    session = desk.session()
    (desk.reader.pull_before if moment == "before" else desk.reader.pull_after)(2)
    with pytest.raises(CardRemovedError):
        session.verify_pin(WRONG_PIN)

    insert_again(desk)

    spent = 1 if moment == "after" else 0
    assert desk.session().tries_left() == desk.manners.pin_tries - spent


def test_a_blocked_token_is_unblocked_and_keeps_its_keys(desk: Desk) -> None:
    session = desk.session()
    for _ in range(desk.manners.pin_tries - 1):
        with pytest.raises(PinWrongError):
            session.verify_pin(WRONG_PIN)
    with pytest.raises(PinBlockedError):
        session.verify_pin(WRONG_PIN, last_try_released=True)

    desk.session().unblock_pin(PUK, NEW_PIN)

    session = desk.session()
    assert session.read_certificate("9C") == desk.old
    verify_possession(desk.old, b"works", session.sign("9C", b"works", pin=NEW_PIN))


def test_what_was_told_of_the_unblocking_code_holds_in_the_next_session(desk: Desk) -> None:
    session = desk.session()
    session.remember_puk_tries(1)
    with pytest.raises(LastTryError):
        session.unblock_pin("00000000", NEW_PIN)

    session.remember_puk_tries(0)
    with pytest.raises(PukBlockedError):
        session.unblock_pin("00000000", NEW_PIN, last_try_released=True)

    assert desk.card.puk_left == desk.manners.puk_tries
