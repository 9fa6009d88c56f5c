"""Prepares blank tokens of either make, and pulls them at every command of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from renewal.rules.token_keys import puk_of_token
from tests.token_station.tokens import MANAGEMENT_KEY, PIN, SERIAL, Desk
from token_station.errors import (
    BadPinFormatError,
    CardRemovedError,
    NoSerialError,
    NotBlankError,
    PukWrongError,
    TokenError,
    UnsupportedError,
)
from token_station.piv.enrolment import FACTORY, BlankToken
from token_station.piv.session import open_blank, open_token
from token_station.simulator import card_memory
from token_station.simulator.card import FACTORY_PIN, SimulatedCard, blank
from token_station.simulator.reader import SimulatedReader

if TYPE_CHECKING:
    from pathlib import Path

    from token_station.simulator.card_profiles import CardProfile

OWN_KEY = bytes(range(100, 124))
COMMANDS = 26  #: of preparing a blank token, held by the first test
MOMENTS = ("before", "after")


@pytest.fixture
def reader(tmp_path: Path, manners: CardProfile) -> SimulatedReader:
    made = SimulatedReader("Desk 1")
    made.insert(blank(tmp_path / "blank.json", manners, number="0badcafe"))
    return made


def opened(reader: SimulatedReader) -> BlankToken:
    return open_blank(reader, SERIAL, OWN_KEY)


def prepare(token: BlankToken, *, attempt: int = 1) -> None:
    token.give_serial()
    token.set_management_key()
    token.set_puk(attempt=attempt)
    token.set_pin(PIN)


def assert_prepared(reader: SimulatedReader, manners: CardProfile) -> None:
    session = open_token(reader, OWN_KEY)
    assert session.serial == SERIAL
    session.authorize_write()
    session.verify_pin(PIN)
    assert reader.card is not None
    assert (reader.card.pin_left, reader.card.puk_left) == (manners.pin_tries, manners.puk_tries)


def commands_of(reader: SimulatedReader) -> int:
    """The number of the command after which there is none to be pulled at."""
    token = opened(reader)
    sent = 0
    transmit = token.channel._transport.transmit

    def counted(frame: bytes) -> tuple[bytes, int]:
        nonlocal sent
        sent += 1
        return transmit(frame)

    token.channel._transport = type("Counted", (), {"transmit": staticmethod(counted)})()
    token.refuse_used()
    prepare(token)
    return sent + 1


def test_a_blank_token_has_no_serial_and_gets_codes_of_its_own(
    reader: SimulatedReader, manners: CardProfile
) -> None:
    with pytest.raises(NoSerialError):
        open_token(reader, OWN_KEY)
    before = reader.card

    assert commands_of(reader) == COMMANDS

    assert_prepared(reader, manners)
    assert before is reader.card


@pytest.mark.parametrize("serial", ["abc-1", "00000000", "0badcafe00"])
def test_a_serial_that_no_such_token_can_have_is_refused_before_anything_is_written(
    reader: SimulatedReader, serial: str
) -> None:
    with pytest.raises(UnsupportedError, match="a token's serial"):
        open_blank(reader, serial, OWN_KEY).give_serial()

    with pytest.raises(NoSerialError):
        open_token(reader, OWN_KEY)


@pytest.mark.parametrize("attempt", [2, 3])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("command", range(1, COMMANDS + 1))
def test_a_blank_token_pulled_at_any_command_is_prepared_the_next_time(
    reader: SimulatedReader, manners: CardProfile, command: int, moment: str, attempt: int
) -> None:
    card = reader.card
    assert card is not None
    (reader.pull_before if moment == "before" else reader.pull_after)(command)
    with pytest.raises(CardRemovedError):
        whole(opened(reader))

    reader.insert(card)
    token = opened(reader)
    prepare(token, attempt=attempt)

    assert_prepared(reader, manners)


def whole(token: BlankToken) -> None:
    token.refuse_used()
    prepare(token)


def test_codes_of_two_tokens_differ_and_have_eight_digits() -> None:
    codes = {puk_of_token(bytes([n]) * 24) for n in range(50)}

    assert len(codes) == 50
    assert all(len(code) == 8 and code.isdigit() for code in codes)


def test_a_token_in_use_is_refused_by_name_and_stays_as_it_is(desk: Desk) -> None:
    before = desk.card_path.read_bytes()

    with pytest.raises(NotBlankError, match="token_not_blank_certificate"):
        open_blank(desk.reader, desk.serial, MANAGEMENT_KEY).refuse_used()
    with pytest.raises(NotBlankError, match="token_not_blank_serial"):
        open_blank(desk.reader, "11112222", MANAGEMENT_KEY).refuse_used()

    assert desk.card_path.read_bytes() == before
    assert desk.card.puk_left == desk.manners.puk_tries


def test_a_token_with_another_management_key_is_refused(
    reader: SimulatedReader, tmp_path: Path, manners: CardProfile
) -> None:
    other = bytes(range(50, 74))
    token = open_blank(reader, SERIAL, other)
    token.set_management_key()
    before = (tmp_path / "blank.json").read_bytes()

    with pytest.raises(NotBlankError, match="token_not_blank_management_key"):
        opened(reader).refuse_used()

    assert (tmp_path / "blank.json").read_bytes() == before


def test_an_unblocking_code_that_is_not_the_maker_s_is_tried_once(
    reader: SimulatedReader, tmp_path: Path, manners: CardProfile
) -> None:
    change_puk(reader, tmp_path)

    with pytest.raises(PukWrongError):
        opened(reader).set_puk()

    assert reader.card is not None
    assert reader.card.puk_left == manners.puk_tries - 1


def test_of_an_unblocking_code_the_last_try_is_not_spent_unreleased(
    reader: SimulatedReader, tmp_path: Path
) -> None:
    change_puk(reader, tmp_path, left=2)

    with pytest.raises(PukWrongError):
        opened(reader).set_puk(attempt=2)

    assert reader.card is not None
    assert reader.card.puk_left == 1


def change_puk(reader: SimulatedReader, tmp_path: Path, left: int | None = None) -> None:
    path, card = tmp_path / "blank.json", reader.card
    assert card is not None
    memory = card_memory.load(path)
    memory.puk, memory.puk_left = b"87654321".hex(), left or memory.puk_left
    card_memory.save(path, memory)
    reader.insert(card)


@pytest.mark.parametrize("pin", ["12", "12345", "abcdef", "123456789"])
def test_a_first_pin_is_judged_before_the_token_sees_it(reader: SimulatedReader, pin: str) -> None:
    token = opened(reader)
    token.set_puk()

    with pytest.raises(BadPinFormatError):
        token.set_pin(pin)

    assert open_after(reader).pin == FACTORY_PIN.encode().ljust(8, b"\xff").hex()


def open_after(reader: SimulatedReader) -> card_memory.CardMemory:
    assert isinstance(reader.card, SimulatedCard)
    return reader.card._memory


def test_the_maker_s_key_opens_a_prepared_token_no_more(reader: SimulatedReader) -> None:
    whole(opened(reader))

    with pytest.raises(TokenError):
        open_token(reader, FACTORY.management_key).authorize_write()


def test_what_is_no_piv_token_is_refused(reader: SimulatedReader) -> None:
    class Deaf:
        name = "Desk 2"

        def connect(self) -> Deaf:
            return self

        def transmit(self, _frame: bytes) -> tuple[bytes, int]:
            return b"", 0x6A82

    with pytest.raises(UnsupportedError, match="not a PIV token"):
        open_blank(Deaf(), SERIAL, OWN_KEY)
