"""Shows the manners in which the two cards differ, command by command."""

from __future__ import annotations

import pytest

from tests.token_station.tokens import MANAGEMENT_KEY, PIN, Counted, Desk
from token_station.errors import CannotMakeKeyError, CardError
from token_station.piv.apdu import CardChannel, Command, tlv
from token_station.piv.key_slots import CERTIFICATE_OBJECTS
from token_station.piv.session import PivSession
from token_station.simulator.card_apdu import WRONG_P1P2

VERIFY = Command(ins=0x20, p2=0x80, data=PIN.encode().ljust(8, b"\xff"))
TRIES = Command(ins=0x20, p2=0x80)
DIGEST = tlv(0x7C, tlv(0x82, b"") + tlv(0x81, bytes(32)))
OLD_OBJECT = bytes.fromhex("5C035FC10A")


def sign_in(place: int) -> Command:
    return Command(ins=0x87, p1=0x11, p2=place, data=DIGEST, answers=True)


def put(content: bytes, tag: str = "5C035FC10A") -> Command:
    return Command(ins=0xDB, p1=0x3F, p2=0xFF, data=bytes.fromhex(tag) + tlv(0x53, content))


@pytest.fixture
def channel(desk: Desk) -> CardChannel:
    transport = desk.reader.connect()
    assert transport is not None
    PivSession(transport, MANAGEMENT_KEY).authorize_write()
    return CardChannel(transport)


def status(channel: CardChannel, *commands: Command) -> int:
    return [channel.send(command)[1] for command in commands][-1]


def test_9c_signs_right_after_verify(channel: CardChannel) -> None:
    assert status(channel, VERIFY, sign_in(0x9C)) == 0x9000


def test_a_query_between_verify_and_sign_breaks_it_on_the_strict_card(
    channel: CardChannel, desk: Desk
) -> None:
    answer = status(channel, VERIFY, TRIES, sign_in(0x9C))

    assert answer == (0x6982 if desk.manners.strict_9c else 0x9000)


def test_one_verify_is_one_signature_in_9c_on_the_strict_card(
    channel: CardChannel, desk: Desk
) -> None:
    answer = status(channel, VERIFY, sign_in(0x9C), sign_in(0x9C))

    assert answer == (0x6982 if desk.manners.strict_9c else 0x9000)


@pytest.mark.parametrize("place", [0x9A, 0x9C])
def test_nothing_is_signed_without_a_pin(channel: CardChannel, desk: Desk, place: int) -> None:
    session = desk.session()
    session.generate("9A", "P-256")

    assert status(channel, sign_in(place)) == 0x6982


def test_an_oversize_object_is_stored_or_refused_and_may_destroy(
    channel: CardChannel, desk: Desk
) -> None:
    answer = status(channel, put(bytes(4_000)))

    if desk.manners.oversize_destroys:
        assert answer == 0x6700
        assert desk.session().read_certificate("9C") is None
    else:
        assert answer == 0x9000


def test_no_card_stores_more_than_it_has(channel: CardChannel) -> None:
    assert status(channel, put(bytes(6_001))) == 0x6700


def test_a_deleted_object_reads_empty_or_is_not_found(channel: CardChannel, desk: Desk) -> None:
    channel.send(put(b""))

    answer = channel.send(Command(ins=0xCB, p1=0x3F, p2=0xFF, data=OLD_OBJECT, answers=True))

    empty = desk.manners.deleted_reads_empty
    assert answer == ((b"\x53\x00", 0x9000) if empty else (b"", 0x6A82))
    assert desk.session().read_certificate("9C") is None


def test_retired_places_are_there_as_far_as_the_card_has_them(desk: Desk) -> None:
    session = desk.session()
    retired = sorted(place for place in CERTIFICATE_OBJECTS if place < "96")

    made = [place for place in retired if is_there(session, place)]

    assert made == retired[: desk.manners.retired_slots]


def is_there(session: PivSession, place: str) -> bool:
    try:
        session.generate(place, "P-256")
    except CannotMakeKeyError as error:
        said = error.__cause__
        if not isinstance(said, CardError) or said.status != WRONG_P1P2:
            raise
        return False
    return True


def test_a_broken_chain_is_dropped(channel: CardChannel, desk: Desk) -> None:
    transport = desk.reader.connect()
    assert transport is not None
    first_part = put(bytes(600)).frames()[0]
    transport.transmit(first_part)

    assert status(channel, TRIES) == 0x63C0 | desk.manners.pin_tries

    _, last = transport.transmit(put(bytes(600)).frames()[-1])
    assert last == 0x6A80  # the end of a chain that never began
    assert desk.session().read_certificate("9C") == desk.old


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ("", 0x6700),
        ("00CB3F", 0x6700),
        ("00CB3FFF055C03", 0x6700),
        ("00CB3FFF0000055C035FC10500", 0x6700),
        ("80CB3FFF055C035FC10500", 0x6E00),
        ("00FD000000", 0x6D00),
        ("00F7009C00", 0x6D00),
        ("0020008100", 0x6A88),
        ("00240080023132", 0x6A80),
        ("00479A9A00", 0x6A80),
        ("0087119C00", 0x6982),
        ("00A4040005A00000030900", 0x6A82),
        ("00C0000000", 0x9000),
    ],
)
def test_what_makes_no_sense_is_refused(desk: Desk, frame: str, expected: int) -> None:
    transport = desk.reader.connect()
    assert transport is not None
    PivSession(transport, MANAGEMENT_KEY).authorize_write()

    assert transport.transmit(bytes.fromhex(frame)) == (b"", expected)


def test_nothing_is_done_before_the_application_is_selected(desk: Desk) -> None:
    transport = desk.reader.connect()
    assert transport is not None
    desk.reader.insert(desk.card)
    fresh = desk.reader.connect()
    assert fresh is not None

    assert fresh.transmit(TRIES.frames()[0]) == (b"", 0x6D00)


@pytest.mark.parametrize("size", [16, 24, 32])
def test_an_aes_management_key_is_proven_both_ways(desk: Desk, size: int) -> None:
    key, number = bytes(range(size)), {16: 0x08, 24: 0x0A, 32: 0x0C}[size]
    memory = desk.card_path.read_text()
    memory = memory.replace(MANAGEMENT_KEY.hex(), key.hex())
    desk.card_path.write_text(
        memory.replace('"management_algorithm": 3', f'"management_algorithm": {number}')
    )
    desk.reader.insert(desk.card)
    transport = desk.reader.connect()
    assert transport is not None
    counted = Counted(transport)

    PivSession(counted, key).generate("9A", "P-256")

    asked = [frame[2] for frame in counted.frames if frame[1] == 0x87]
    assert asked == ([0x03] if size == 24 else []) + [number, number]
