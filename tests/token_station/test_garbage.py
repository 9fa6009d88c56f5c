"""Throws broken answers at a session: only a token's errors come out, and it ends."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.token_station.tokens import MANAGEMENT_KEY, PIN, PUK, SERIAL, Desk, PretendCa
from token_station.errors import TokenError
from token_station.piv.apdu import tlv
from token_station.piv.data_objects import chuid_for
from token_station.piv.session import PivSession
from token_station.signing import csr, renewal_proof
from token_station.simulator.card import SimulatedCard
from token_station.simulator.card_profiles import JAVACARD
from token_station.simulator.reader import SimulatedReader

if TYPE_CHECKING:
    from token_station.port import Transport

MOST_COMMANDS = 6_000
READ_CHUID = bytes.fromhex("5C035FC10200")
Spoiling = Callable[[bytes, int], tuple[bytes, int]]

statuses = st.sampled_from([0x9000, 0x6100, 0x6101, 0x6C00, 0x6C10, 0x63C0, 0x63C1, 0x63CF]) | (
    st.integers(0, 0xFFFF)
)
shapes = st.sampled_from([b"", b"\x53\x00", b"\x7c\x00", b"\x53\x84\xff\xff\xff\xff", b"\x7f\x49"])
answers = st.tuples(shapes | st.binary(max_size=300), statuses)


class Scripted:
    """Answers from a list, over and over; opens well if it is ``polite``."""

    def __init__(self, given_answers: list[tuple[bytes, int]], *, polite: bool) -> None:
        self._answers = given_answers
        self._polite = polite
        self.count = 0

    def transmit(self, frame: bytes) -> tuple[bytes, int]:
        self.count += 1
        if self._polite and frame[1] == 0xA4:
            return b"", 0x9000
        if self._polite and frame[5:] == READ_CHUID:
            return tlv(0x53, chuid_for(SERIAL)), 0x9000
        return self._answers[self.count % len(self._answers)]


class Spoilt:
    """A real card whose n-th answer is spoilt on the way."""

    def __init__(self, transport: Transport, n: int, spoil: Spoiling) -> None:
        self._transport = transport
        self._n = n
        self._spoil = spoil
        self.count = 0

    def transmit(self, frame: bytes) -> tuple[bytes, int]:
        answer = self._transport.transmit(frame)
        self.count += 1
        return self._spoil(*answer) if self.count == self._n else answer


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tmp_path_factory.mktemp("garbage"), ca=PretendCa())


def everything(session: PivSession, desk: Desk) -> list[Callable[[], object]]:
    return [
        session.info,
        lambda: session.assert_serial(SERIAL),
        session.certificates,
        lambda: session.choose_key_slot(keep=[desk.old]),
        lambda: session.generate("9A", "P-256"),
        lambda: csr(session, "9A", PIN),
        lambda: session.write_certificate("9A", desk.ca.certify(session.generate("9A", "P-256"))),
        lambda: session.write_certificate("9A", desk.old, pin=PIN),
        lambda: renewal_proof(session, "9C", PIN, b"request"),
        lambda: session.public_key("9D"),
        lambda: session.change_pin(PIN, PIN),
        lambda: session.unblock_pin(PUK, PIN),
    ]


def error_of(deed: Callable[[], object]) -> str:
    try:
        deed()
    except TokenError as error:
        return str(error)
    return ""


def only_token_errors(transport: Transport, desk: Desk) -> None:
    try:
        session = PivSession(transport, MANAGEMENT_KEY)
    except TokenError:
        return
    for deed in everything(session, desk):
        said = error_of(deed)
        assert PIN not in said
        assert PUK not in said


@settings(max_examples=150, deadline=None)
@given(given_answers=st.lists(answers, min_size=1, max_size=12), polite=st.booleans())
def test_whatever_a_card_answers_only_a_tokens_errors_come_out(
    desk: Desk, given_answers: list[tuple[bytes, int]], *, polite: bool
) -> None:
    card = Scripted(given_answers, polite=polite)

    only_token_errors(card, desk)

    assert card.count < MOST_COMMANDS


def spoiler(how: str, place: int, byte: int, status: int) -> Spoiling:
    def spoil(data: bytes, sw: int) -> tuple[bytes, int]:
        at = place % (len(data) or 1)
        return {
            "cut": (data[:at], sw),
            "flip": (data[:at] + bytes([byte]) + data[at + 1 :], sw),
            "longer": (data + bytes([byte]) * place, sw),
            "empty": (b"", sw),
            "status": (data, status),
            "huge": (data[:1] + b"\x83\xff\xff\xff" + data[2:], sw),
        }[how]

    return spoil


spoils = st.builds(
    spoiler,
    st.sampled_from(["cut", "flip", "longer", "empty", "status", "huge"]),
    st.integers(0, 300),
    st.integers(0, 255),
    statuses,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(n=st.integers(1, 45), spoil=spoils)
def test_one_spoilt_answer_of_a_real_visit_is_a_tokens_error_or_nothing(
    desk: Desk, n: int, spoil: Spoiling
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        reader = SimulatedReader("Desk 2")
        reader.insert(SimulatedCard(Path(shutil.copy(desk.card_path, folder)), JAVACARD))
        transport = reader.connect()
        assert transport is not None

        only_token_errors(Spoilt(transport, n, spoil), desk)


@pytest.mark.parametrize("status", [-1, 0x10000])
def test_a_status_word_of_more_than_two_bytes_is_refused(desk: Desk, status: int) -> None:
    only_token_errors(Scripted([(b"", status)], polite=True), desk)
