"""Tries our readers on a real PC/SC service: hot-plug, pulls, its death, other programs."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from renewal.rules.proof import verify_possession
from tests.token_station.pcsc.daemon import PrivatePcscd, wait_until
from tests.token_station.tokens import MANAGEMENT_KEY, PIN, Desk, PretendCa
from token_station.errors import CardRemovedError, ReaderGoneError
from token_station.pcsc import PcscReader, PcscReaders
from token_station.piv.session import PivSession, open_token
from token_station.simulator.card import SimulatedCard

if TYPE_CHECKING:
    from pathlib import Path

    from token_station.simulator.card_profiles import CardProfile


def put_in(pcscd: PrivatePcscd, readers: PcscReaders, card: SimulatedCard, slot: int = 0) -> None:
    pcscd.insert(card, slot)
    wait_until(readers, lambda: readers.has_token(pcscd.names[slot]))


def take_out(pcscd: PrivatePcscd, readers: PcscReaders, slot: int = 0) -> None:
    pcscd.slots[slot].pull()
    wait_until(readers, lambda: not readers.has_token(pcscd.names[slot]))


def named(readers: PcscReaders, name: str) -> PcscReader:
    return next(reader for reader in readers if reader.name == name)


def card_of(desk: Desk) -> SimulatedCard:
    desk.reader.pull()
    return SimulatedCard(desk.card_path, desk.manners, desk.ledger)


@pytest.fixture
def reader(pcscd: PrivatePcscd, readers: PcscReaders, desk: Desk) -> PcscReader:
    """The first reader, with the desk's token in it."""
    put_in(pcscd, readers, card_of(desk))
    return named(readers, pcscd.names[0])


def test_a_token_in_a_real_reader_is_renewed(reader: PcscReader, desk: Desk) -> None:
    session = open_token(reader, MANAGEMENT_KEY)

    new = desk.renew(session)

    session = open_token(reader, MANAGEMENT_KEY)
    assert [one.der for one in session.certificates()] == [desk.old, new]
    for place, der in (("9C", desk.old), ("9A", new)):
        verify_possession(der, b"it works", session.sign(place, b"it works", pin=PIN))


def test_an_empty_reader_has_no_token(pcscd: PrivatePcscd, readers: PcscReaders) -> None:
    assert named(readers, pcscd.names[1]).connect() is None


def test_a_token_that_comes_and_goes_is_noticed(
    pcscd: PrivatePcscd, readers: PcscReaders, desk: Desk
) -> None:
    card = card_of(desk)
    put_in(pcscd, readers, card)
    take_out(pcscd, readers)
    put_in(pcscd, readers, card, slot=1)

    assert not readers.has_token(pcscd.names[0])
    assert open_token(named(readers, pcscd.names[1]), MANAGEMENT_KEY).serial == desk.serial


def test_a_session_is_dead_once_its_token_was_pulled_and_put_back(
    pcscd: PrivatePcscd, readers: PcscReaders, reader: PcscReader, desk: Desk
) -> None:
    session = open_token(reader, MANAGEMENT_KEY)
    take_out(pcscd, readers)
    with pytest.raises(CardRemovedError):
        session.tries_left()

    put_in(pcscd, readers, SimulatedCard(desk.card_path, desk.manners, desk.ledger))

    with pytest.raises(CardRemovedError):
        session.tries_left()
    assert open_token(reader, MANAGEMENT_KEY).tries_left() == desk.manners.pin_tries


@pytest.mark.parametrize("command", [3, 12, 20])
def test_a_token_pulled_amid_a_command_is_renewed_later(
    pcscd: PrivatePcscd, readers: PcscReaders, reader: PcscReader, desk: Desk, command: int
) -> None:
    pcscd.slots[0].reader.pull_after(command)
    with pytest.raises(CardRemovedError):
        desk.renew(open_token(reader, MANAGEMENT_KEY))
    reader.release()
    wait_until(readers, lambda: not readers.has_token(reader.name))

    put_in(pcscd, readers, SimulatedCard(desk.card_path, desk.manners, desk.ledger))

    session = open_token(reader, MANAGEMENT_KEY)
    verify_possession(desk.old, b"old", session.sign("9C", b"old", pin=PIN))
    desk.renew(session)


def test_another_token_in_the_same_reader_is_not_taken_for_the_first(
    pcscd: PrivatePcscd, readers: PcscReaders, reader: PcscReader, desk: Desk
) -> None:
    session = open_token(reader, MANAGEMENT_KEY)
    other = desk.make_card("029dc2d1")
    take_out(pcscd, readers)
    put_in(pcscd, readers, other)

    with pytest.raises(CardRemovedError):
        session.generate("9A", desk.algorithm)

    assert open_token(reader, MANAGEMENT_KEY).serial == "029dc2d1"


def test_readers_come_back_after_the_service_was_killed(
    pcscd: PrivatePcscd, readers: PcscReaders, reader: PcscReader, desk: Desk
) -> None:
    session = open_token(reader, MANAGEMENT_KEY)
    pcscd.kill()
    with pytest.raises(ReaderGoneError):
        session.tries_left()
    wait_until(readers, lambda: len(readers) == 0)
    with pytest.raises(ReaderGoneError, match="pcscd"):
        reader.connect()

    pcscd.start()
    wait_until(readers, lambda: pcscd.names[0] in readers.names)
    put_in(pcscd, readers, SimulatedCard(desk.card_path, desk.manners, desk.ledger))

    desk.renew(open_token(named(readers, reader.name), MANAGEMENT_KEY))


def test_readers_are_found_though_the_service_starts_later(pcscd: PrivatePcscd) -> None:
    pcscd.kill()
    with PcscReaders() as readers:
        readers.wait(readers.version, 0.1)
        assert list(readers) == []

        pcscd.start()

        wait_until(readers, lambda: pcscd.names[0] in readers.names)


def test_two_tokens_are_renewed_side_by_side(
    pcscd: PrivatePcscd, readers: PcscReaders, tmp_path: Path, ca: PretendCa, manners: CardProfile
) -> None:
    desks = []
    for slot, serial in enumerate(("029dc2d0", "029dc2d1")):
        desk = Desk(tmp_path / serial, manners=manners, ca=ca, serial=serial)
        put_in(pcscd, readers, card_of(desk), slot)
        desks.append(desk)
    both = threading.Barrier(2, timeout=30)

    def renew(slot: int) -> None:
        session = open_token(named(readers, pcscd.names[slot]), MANAGEMENT_KEY)
        both.wait()
        desks[slot].renew(session)

    threads = [threading.Thread(target=renew, args=(slot,)) for slot in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for slot in (0, 1):
        session = open_token(named(readers, pcscd.names[slot]), MANAGEMENT_KEY)
        assert session.serial == desks[slot].serial
        assert len(session.certificates()) == 2


class OtherProgram(threading.Thread):
    """Selects another application again and again, by a connection of its own."""

    def __init__(self, name: str) -> None:
        super().__init__(daemon=True)
        self._reader, self._over, self.times = PcscReader(name), threading.Event(), 0

    def run(self) -> None:
        while not self._over.is_set():
            connection = self._reader.connect()
            if connection is not None:
                connection.transmit(bytes.fromhex("00A4040007A0000002471001"))
                self.times += 1
            self._reader.release()
            time.sleep(0.002)
        self._reader.close()

    def end(self) -> None:
        self._over.set()
        self.join()


def test_another_program_on_the_same_token_disturbs_nothing(reader: PcscReader, desk: Desk) -> None:
    other = OtherProgram(reader.name)
    other.start()

    for _ in range(5):
        session = open_token(reader, MANAGEMENT_KEY)
        assert verify(session, desk)
        with session.lent():
            before, until = other.times, time.monotonic() + 10
            while other.times == before and time.monotonic() < until:
                time.sleep(0.002)
        assert verify(session, desk)
        reader.release()
        time.sleep(0.01)

    other.end()
    assert other.times > 5


def verify(session: PivSession, desk: Desk) -> bool:
    verify_possession(desk.old, b"mine", session.sign("9C", b"mine", pin=PIN))
    return True


def test_no_pin_stays_verified_for_the_next_program(reader: PcscReader, desk: Desk) -> None:
    open_token(reader, MANAGEMENT_KEY).verify_pin(PIN)
    reader.release()

    other = PcscReader(reader.name)
    connection = other.connect()
    assert connection is not None
    connection.transmit(bytes.fromhex("00A4040005A000000308"))
    _, status = connection.transmit(bytes.fromhex("0020008000"))
    other.close()

    assert status == 0x63C0 | desk.manners.pin_tries
