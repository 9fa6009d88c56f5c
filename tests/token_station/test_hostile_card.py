"""Gives the driver a card that answers anything: an error by name, no hang, nothing concluded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.token_station.makers import Maker
from tests.token_station.tokens import MANAGEMENT_KEY, PIN, PUK, START, Desk
from token_station.errors import TokenError
from token_station.piv.enrolment import BlankToken
from token_station.piv.session import PivSession
from token_station.signing import csr, renewal_proof
from token_station.simulator.card import SimulatedCard

if TYPE_CHECKING:
    from collections.abc import Callable

    from token_station.port import Transport

#: However the card answers, a deed is over after so many commands.
MOST_COMMANDS = 2_000
MAKER = Maker()
STATUS = st.sampled_from(
    [
        *(0x9000, 0x6100, 0x61FF, 0x6101, 0x6C00, 0x6CFF, 0x6300, 0x63C0, 0x63C1, 0x63CF),
        *(0x6700, 0x6982, 0x6983, 0x6985, 0x6A80, 0x6A82, 0x6A88, 0x6D00, 0x6F00, 0x0000, 0xFFFF),
    ]
)
TAGS = st.sampled_from([b"\x53", b"\x70", b"\x71", b"\x7c", b"\x80", b"\x82", b"\x7f\x49", b"\x86"])
LENGTHS = st.sampled_from([b"\x00", b"\x7f", b"\x81\xff", b"\x82\xff\xff", b"\x84\xff\xff\xff\xff"])
DATA = st.one_of(
    st.binary(max_size=40),
    st.builds(lambda tag, length, rest: tag + length + rest, TAGS, LENGTHS, st.binary(max_size=64)),
    st.integers(0, 65_536).map(bytes),
)
ANSWERS = st.lists(st.tuples(DATA, STATUS), min_size=1, max_size=6)


class Hostile:
    """Behaves until a given command, and answers from then on as it likes, over and over."""

    def __init__(self, inner: Transport, good: int, answers: list[tuple[bytes, int]]) -> None:
        self._inner, self._good, self._answers, self.sent = inner, good, answers, 0

    def transmit(self, frame: bytes) -> tuple[bytes, int]:
        self.sent += 1
        assert self.sent < MOST_COMMANDS, "the driver does not stop"
        if self.sent <= self._good:
            return self._inner.transmit(frame)
        return self._answers[(self.sent - self._good) % len(self._answers)]


def renew(session: PivSession, desk: Desk) -> None:
    place = session.choose_key_slot(keep=[desk.old])
    session.generate(place, desk.algorithm)
    csr(session, place, PIN)
    renewal_proof(session, "9C", PIN, b"request")
    session.write_certificate(place, desk.ca.certify(session.public_key(place) or b""), pin=PIN)


def enrol(session: PivSession, desk: Desk) -> None:
    """The hostile card says that it is blank, and whatever else it likes."""
    del desk
    token = BlankToken(channel=session._channel, serial="0a0b0c0d", own_key=MANAGEMENT_KEY)
    token.refuse_used()
    token.give_serial()
    token.set_management_key()
    token.set_puk(attempt=2)
    token.set_pin(PIN)


def prove(session: PivSession, desk: Desk) -> None:
    proofs = session.authenticity(MAKER.anchors, START)
    proofs.check(("9C", desk.old))
    proofs.check_made("9A", session.public_key("9C") or b"")


DEEDS: dict[str, Callable[[PivSession, Desk], object]] = {
    "renew": renew,
    "look": lambda session, _: (session.info(), session.certificates()),
    "find key": lambda session, desk: session.find_key("9A", desk.algorithm, pin=PIN),
    "change the PIN": lambda session, _: session.change_pin(PIN, "246802"),
    "enrol": enrol,
    "prove itself": prove,
    "unblock": lambda session, _: session.unblock_pin(PUK, "246802"),
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Desk, bytes]:
    """A desk, and its card as it was handed out."""
    desk = Desk(tmp_path_factory.mktemp("hostile"))
    MAKER.give_attestation(desk.card_path)
    return desk, desk.card_path.read_bytes()


@pytest.mark.parametrize("deed", DEEDS)
@given(good=st.integers(0, 30), answers=ANSWERS)
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_a_card_answers_is_an_error_by_name(
    shared: tuple[Desk, bytes], deed: str, good: int, answers: list[tuple[bytes, int]]
) -> None:
    desk, fresh = shared
    desk.card_path.write_bytes(fresh)
    desk.reader.insert(SimulatedCard(desk.card_path, desk.manners, desk.ledger))
    inner = desk.reader.connect()
    assert inner is not None
    hostile = Hostile(inner, good, answers)

    try:
        DEEDS[deed](PivSession(hostile, MANAGEMENT_KEY), desk)
    except TokenError:
        return

    # A status word is all that the others can go by; a renewal is never concluded from nonsense.
    assert hostile.sent <= good or deed != "renew"
