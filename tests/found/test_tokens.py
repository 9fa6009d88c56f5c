"""Holds that tokens of other makes are read as they are, and that nobody's key is destroyed."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from schema.reasons import TokenReason
from schema.stored_reasons import read_reason
from templates.codes import text
from tests.found.other_ca import OtherCa, named
from tests.scenario.sample import TOKEN
from tests.scenario.tokens import PIN
from token_station.piv.apdu import tlv
from token_station.piv.data_objects import certificate_in, serial_in
from token_station.piv.session import PivSession
from token_station.simulator import card_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.scenario.scenario import Scenario
    from token_station.port import Transport

SERIAL, PUK, MANAGEMENT_KEY = "029dc2d0", "24681357", bytes(range(24))


# --- f17: objects of other makes ------------------------------------------------------------------

END = tlv(0xFE, b"")
OBJECTS: dict[str, Callable[[bytes], bytes]] = {
    "gzip, CertInfo 80": lambda der: tlv(0x70, gzip.compress(der)) + tlv(0x71, b"\x80") + END,
    "gzip, CertInfo 05": lambda der: tlv(0x70, gzip.compress(der)) + tlv(0x71, b"\x05") + END,
    "gzip, CertInfo 00": lambda der: tlv(0x70, gzip.compress(der)) + tlv(0x71, b"\x00") + END,
    "zlib": lambda der: tlv(0x70, zlib.compress(der)) + tlv(0x71, b"\x01") + END,
    "Net iD": lambda der: (
        tlv(0x70, b"\x01\x00" + len(der).to_bytes(2, "little") + zlib.compress(der))
        + tlv(0x71, b"\x01")
        + END
    ),
    "filled up with 00": lambda der: tlv(0x70, der) + tlv(0x71, b"\x00") + END + bytes(64),
    "filled up with FF": lambda der: tlv(0x70, der) + tlv(0x71, b"\x00") + END + b"\xff" * 64,
    "the last length byte is missing": lambda der: tlv(0x70, der) + tlv(0x71, b"\x00") + b"\xfe",
    "filled up within 70": lambda der: tlv(0x70, der + bytes(32)) + tlv(0x71, b"\x00") + END,
    "a length in four bytes": lambda der: (
        b"\x70\x84\x00\x00" + len(der).to_bytes(2, "big") + der + tlv(0x71, b"\x00") + END
    ),
    "the bare certificate": lambda der: der,
}


@pytest.mark.parametrize("made", [pytest.param(it, id=id_) for id_, it in OBJECTS.items()])
def test_a_certificate_is_read_in_every_form_that_others_write(
    made: Callable[[bytes], bytes],
) -> None:
    der = OtherCa().certificate()

    assert certificate_in(made(der)) == der


@pytest.mark.parametrize("filling", [bytes(16), b"\xff" * 8])
def test_a_card_holder_identifier_may_be_filled_up(filling: bytes) -> None:
    guid = bytes.fromhex(SERIAL).rjust(16, b"\0")
    fields = ((0x30, bytes(25)), (0x34, guid), (0x35, b"20991231"), (0x3E, b""), (0xFE, b""))

    assert serial_in(b"".join(tlv(*field) for field in fields) + filling) == SERIAL


# --- f27: 6Cxx at every command -------------------------------------------------------------------


class CorrectsLengths:
    """A card that gives nothing until it is asked for as much as it has (T=0)."""

    def __init__(self, card: Transport) -> None:
        self._card = card
        self._rest = b""

    def transmit(self, frame: bytes) -> tuple[bytes, int]:
        if frame[1] == 0xC0:
            return self._part(frame[4])
        data, status = self._card.transmit(frame)
        while status >> 8 == 0x61:
            more, status = self._card.transmit(bytes([0, 0xC0, 0, 0, status & 255]))
            data += more
        if status != 0x9000 or not data:
            return data, status
        self._rest = data
        return b"", 0x6100

    def _part(self, asked: int) -> tuple[bytes, int]:
        if len(self._rest) < 256 and asked != len(self._rest):
            return b"", 0x6C00 | len(self._rest)
        part, self._rest = self._rest[: asked or 256], self._rest[asked or 256 :]
        return part, 0x6100 if self._rest else 0x9000


def test_a_card_may_correct_the_length_of_every_answer(world: Scenario) -> None:
    card = world.cards[TOKEN]

    session = PivSession(CorrectsLengths(card), world.app.keys.tokens.value)

    assert [found.der for found in session.certificates()] == [world.der(TOKEN)]


# --- f05: a key that is not ours ------------------------------------------------------------------


def _foreign_key(world: Scenario, *, certified: bool) -> bytes:
    session = PivSession(world.cards[TOKEN], world.app.keys.tokens.value)
    spki = session.generate("9A", "P-256")
    if certified:
        other = OtherCa("Another bank's CA").certificate(named("A123456782-01-000009"), spki=spki)
        session.write_certificate("9A", other, pin=PIN)
    return spki


@pytest.mark.parametrize("certified", [True, False], ids=["with certificate", "the key alone"])
def test_a_key_that_is_not_ours_is_never_destroyed(world: Scenario, *, certified: bool) -> None:
    foreign = _foreign_key(world, certified=certified)
    world.paid()
    world.requested(TOKEN)

    world.at_the_branch(world.station(TOKEN))

    session = PivSession(world.cards[TOKEN], world.app.keys.tokens.value)
    session.remember_key("9A", foreign)
    assert session.sign("9A", b"still there", pin=PIN)


# --- f18: the card says what it can make ----------------------------------------------------------


class Makes:
    """A card that makes keys of some kinds only; it refuses the others for good."""

    def __init__(self, card: Transport, *, not_: bytes, status: int) -> None:
        self._card, self._not, self._status = card, not_, status

    def transmit(self, frame: bytes) -> tuple[bytes, int]:
        if frame[1] == 0x47 and b"\x80\x01" + self._not in frame:
            return b"", self._status
        return self._card.transmit(frame)


@pytest.mark.parametrize("status", [0x6A80, 0x6A81, 0x6A86])
def test_a_card_that_makes_no_elliptic_curves_gets_an_rsa_key(
    world: Scenario, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = world.cards[TOKEN]
    odd = Makes(_plain(card), not_=b"\x11", status=status)
    monkeypatch.setattr(card, "transmit", odd.transmit)
    world.paid()
    renewal = world.requested(TOKEN)

    world.at_the_branch(world.station(TOKEN), 6)

    assert world.renewal(renewal.id).state == "done"


def test_a_card_that_makes_no_key_at_all_ends_its_job_with_a_reason(
    world: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = world.cards[TOKEN]
    odd = Makes(Makes(_plain(card), not_=b"\x11", status=0x6A80), not_=b"\x07", status=0x6A80)
    monkeypatch.setattr(card, "transmit", odd.transmit)
    world.paid()
    renewal = world.requested(TOKEN)

    world.at_the_branch(world.station(TOKEN), 6)

    assert world.renewal(renewal.id).state in {"abandoned", "refused"}


class _plain:  # noqa: N801 - reads as a verb
    """The card's own answers, whatever stands before it later."""

    def __init__(self, card: Transport) -> None:
        self.transmit = card.transmit


# --- f26: PINs as the token's own policy allows ---------------------------------------------------


@pytest.mark.parametrize("pin", ["Abc123!", "A1b2c3"])
def test_a_pin_of_letters_is_tried(world: Scenario, pin: str) -> None:
    _set_pin(world, pin)
    world.paid()
    renewal = world.requested(TOKEN)

    world.at_the_branch(world.station(TOKEN, pin=pin))

    assert world.renewal(renewal.id).state == "done"


@pytest.mark.parametrize("pin", ["", "123456789", "一二三四五六", "12 34567"])
def test_what_cannot_be_a_pin_is_not_called_a_wrong_one(world: Scenario, pin: str) -> None:
    world.paid()
    world.requested(TOKEN)

    seen = [one for once in world.at_the_branch(world.station(TOKEN, pin=pin)) for one in once]

    assert "the PIN is wrong" not in {one.status.value for one in seen}
    assert any("PIN" in one.status.value and one.status.name == "PIN_UNFIT" for one in seen)


def _set_pin(world: Scenario, pin: str) -> None:
    PivSession(world.cards[TOKEN], world.app.keys.tokens.value)
    card = world.cards[TOKEN]
    card._memory.pin = pin.encode().ljust(8, b"\xff").hex()
    card_memory.save(card._path, card._memory)


# --- siblings -------------------------------------------------------------------------------------


def test_a_key_that_an_ended_renewal_of_ours_has_made_is_used_again(world: Scenario) -> None:
    world.paid()
    first = world.requested(TOKEN)
    world.drain()
    station = world.station(TOKEN)
    station.take()
    station.work()
    world.drain()
    world.app.back_office.end(first.id, who="a", why="b")
    second = world.requested(TOKEN)

    world.at_the_branch(station, 6)

    assert world.renewal(second.id).state == "done", world.renewal(second.id).why


@pytest.mark.parametrize("agrees", [True, False])
def test_a_person_may_give_a_foreign_key_up(world: Scenario, *, agrees: bool) -> None:
    _foreign_key(world, certified=True)
    world.paid()
    renewal = world.requested(TOKEN)
    station = world.station(TOKEN)
    station.operator = Generous(agrees)

    world.at_the_branch(station, 6)

    assert world.renewal(renewal.id).state == ("done" if agrees else "abandoned")
    assert station.operator.asked == [TokenReason.HOLDS_CERTIFICATE]


WIDE_PIN = "".join(chr(ord(digit) + 0xFEE0) for digit in PIN)


@pytest.mark.parametrize("wide", [WIDE_PIN, f" {PIN}\n"])
def test_a_pin_is_taken_as_people_type_it(world: Scenario, wide: str) -> None:
    world.paid()
    renewal = world.requested(TOKEN)

    world.at_the_branch(world.station(TOKEN, pin=wide))

    assert world.renewal(renewal.id).state == "done"


def test_what_cannot_be_read_is_told_to_be_so(world: Scenario) -> None:
    card = world.cards[TOKEN]
    card._memory.objects["5FC10A"] = (tlv(0x70, b"no certificate") + END).hex()
    card_memory.save(card._path, card._memory)
    world.paid()
    renewal = world.requested(TOKEN)

    world.at_the_branch(world.station(TOKEN))

    why = text(read_reason(world.renewal(renewal.id).why or ""), "en")
    assert "9C cannot be read" in why


@dataclass
class Generous:
    """A person who is asked whether a key that is not ours may go."""

    agrees: bool
    asked: list[TokenReason] = field(default_factory=list)

    def pin(self, job: object, tries_left: int | None) -> str:
        del job, tries_left
        return PIN

    def releases_last_try(self, job: object) -> bool:
        del job
        return False

    def gives_up_key(self, job: object, key_slot: str, found: TokenReason) -> bool:
        del job, key_slot
        self.asked.append(found)
        return self.agrees
