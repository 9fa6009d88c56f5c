"""
Lets one fault come at every single command of a renewal and of an enrolment, on both makes.

One test goes through all commands of a deed, so that little is made for each.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.token_station.station.blank_desk import BlankDesk, NewHolder, assert_enrolled
from tests.token_station.station.branch import Branch, Holder
from tests.token_station.tokens import PIN, PUK, WRONG_PIN, Desk, PretendCa
from token_station.errors import ReaderGoneError
from token_station.journal import Step
from token_station.piv.apdu import CHAINED
from token_station.piv.pins import pin_field
from token_station.reader_views import ReaderStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from token_station.port import Transport
    from token_station.simulator.card_profiles import CardProfile

pytestmark = pytest.mark.slow

OTHER = "0badf00d"
GET_RESPONSE, VERIFY = 0xC0, 0x20
LC = 5  #: bytes of a command without data


class PowerCut(BaseException):
    """The station is gone in the middle of a command."""


@dataclass
class FaultyReader:
    """A reader in which something happens at the n-th command; counts them all."""

    desk: Desk
    at: int = 0
    happens: Callable[[FaultyReader, bytes], None] = field(default=lambda _reader, _frame: None)
    frames: int = 0
    is_gone: bool = False
    is_amid: bool = False  #: of parts, or between VERIFY and its use: there nobody comes between

    def __post_init__(self) -> None:
        self.name = self.desk.reader.name

    def connect(self) -> Transport | None:
        if self.is_gone:
            raise ReaderGoneError("the reader is gone")
        connection = self.desk.reader.connect()
        return None if connection is None else _Faulty(self, connection)


@dataclass
class _Faulty:
    reader: FaultyReader
    connection: Transport
    is_held: bool = False

    def transmit(self, frame: bytes) -> tuple[bytes, int]:
        self.reader.is_amid = frame[1] == GET_RESPONSE or self.is_held
        self.is_held = bool(frame[0] & CHAINED) or (frame[1] == VERIFY and len(frame) > LC)
        self.reader.frames += 1
        if self.reader.frames == self.reader.at:
            self.reader.happens(self.reader, frame)
        return self.connection.transmit(frame)


# --- what happens -------------------------------------------------------------------------------


def swap(reader: FaultyReader, _frame: bytes) -> None:
    """Another customer's token is put in."""
    desk = reader.desk
    desk.reader.insert(Desk(desk.path / "other", serial=OTHER, ca=desk.ca).card)


def lose_reader(reader: FaultyReader, _frame: bytes) -> None:
    """The reader is unplugged, or the PC/SC service dies: a connection dies with it."""
    reader.is_gone = True
    reader.desk.reader.pull()
    raise ReaderGoneError("the reader is gone")


def pull_before(reader: FaultyReader, _frame: bytes) -> None:
    reader.desk.reader.pull()


def pull_after(reader: FaultyReader, _frame: bytes) -> None:
    reader.desk.reader.pull_after(1)


def cut_power(reader: FaultyReader, frame: bytes) -> None:
    card = reader.desk.reader.card
    assert card is not None
    card.transmit(frame)
    raise PowerCut


def spend_tries(reader: FaultyReader, leave: int) -> None:
    """Another program tries wrong PINs; a transaction keeps it out amid an exchange."""
    if reader.is_amid:
        return
    card = reader.desk.reader.card
    assert card is not None
    verify = bytes([0x00, 0x20, 0x00, 0x80, 8]) + pin_field(WRONG_PIN)
    while card.pin_left > leave:
        card.transmit(verify)


def block_pin(reader: FaultyReader, _frame: bytes) -> None:
    spend_tries(reader, 0)


def leave_one_try(reader: FaultyReader, _frame: bytes) -> None:
    spend_tries(reader, 1)


# --- a row of branches --------------------------------------------------------------------------


@dataclass
class Row:
    """Makes one branch after another."""

    path: Path
    ca: PretendCa
    manners: CardProfile
    is_enrolment: bool
    made: int = 0

    def branch(self) -> Branch:
        self.made += 1
        folder = self.path / f"{self.made}"
        kind = BlankDesk if self.is_enrolment else Desk
        desk = kind(folder, manners=self.manners, ca=self.ca)
        person = NewHolder() if self.is_enrolment else Holder()
        branch = Branch(folder, None, [desk], person=person)
        (branch.centre.ask_enrolment if self.is_enrolment else branch.centre.ask)()
        return branch

    def commands(self) -> int:
        branch = self.branch()
        branch.station.readers = [reader := FaultyReader(branch.desk)]
        branch.rounds(3)
        self.assert_done(branch)
        branch.close()
        return reader.frames

    def struck(self, happens: Callable[[FaultyReader, bytes], None]) -> Iterator[Branch]:
        """For each command a branch at which that has happened."""
        for command in range(1, self.commands() + 1):
            branch = self.branch()
            reader = FaultyReader(branch.desk, command, happens)
            branch.station.readers = [reader]
            with suppress(PowerCut):
                branch.rounds(3)
                assert reader.frames >= command, "it has not happened"
            yield branch
            branch.close()

    def assert_done(self, branch: Branch) -> None:
        if self.is_enrolment:
            assert_enrolled(branch)
            return
        branch.assert_renewed()
        assert branch.deeds("generate") == [("9A", "ok")]
        assert branch.desk.reader.card is not None
        assert branch.desk.reader.card.pin_left == self.manners.pin_tries


@pytest.fixture(params=["renewal", "enrolment"])
def row(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    ca: PretendCa,
    manners: CardProfile,
) -> Row:
    return Row(tmp_path, ca, manners, is_enrolment=request.param == "enrolment")


@pytest.fixture
def renewals(tmp_path: Path, ca: PretendCa, manners: CardProfile) -> Row:
    return Row(tmp_path, ca, manners, is_enrolment=False)


@pytest.mark.parametrize("happens", [cut_power, lose_reader])
def test_a_power_cut_or_a_lost_reader_at_any_command_changes_nothing_for_the_customer(
    row: Row, happens: Callable[[FaultyReader, bytes], None]
) -> None:
    for branch in row.struck(happens):
        branch.insert_again()
        if not row.is_enrolment:
            branch.assert_old_works()
            branch.insert_again()
        branch.started()

        branch.rounds(3)

        row.assert_done(branch)


@pytest.mark.parametrize("happens", [pull_before, pull_after])
def test_a_blank_token_pulled_at_any_command_is_enrolled_once_it_is_back(
    tmp_path: Path,
    ca: PretendCa,
    manners: CardProfile,
    happens: Callable[[FaultyReader, bytes], None],
) -> None:
    for branch in Row(tmp_path, ca, manners, is_enrolment=True).struck(happens):
        branch.insert_again()
        if branch.desk.path.name[-1] in "02468":
            branch.started()

        branch.rounds(3)

        assert_enrolled(branch)


def test_another_token_put_in_at_any_command_is_left_as_it_is(row: Row) -> None:
    for branch in row.struck(swap):
        other = branch.desk.path / "other" / f"{OTHER}.json"
        before = other.read_bytes()
        assert branch.round()[0].status is ReaderStatus.OTHER_TOKEN
        assert other.read_bytes() == before
        branch.insert_again()

        branch.rounds(3)

        row.assert_done(branch)


def test_a_pin_that_another_program_blocks_at_any_command_costs_the_customer_no_key(
    renewals: Row,
) -> None:
    for branch in renewals.struck(block_pin):
        branch.insert_again()
        branch.desk.session().unblock_pin(PUK, PIN, last_try_released=True)
        branch.insert_again()

        branch.rounds(3)

        branch.assert_old_works()
        job = branch.station.journal.job(branch.renewal)
        assert job is not None
        assert job.step in {Step.DONE, Step.ENDED}
        assert len(branch.deeds("generate")) <= 1
        assert len(branch.centre.issued) <= 1


def test_the_last_try_that_another_program_leaves_at_any_command_is_not_spent(
    renewals: Row,
) -> None:
    for branch in renewals.struck(leave_one_try):
        card = branch.desk.reader.card
        assert card is not None
        assert card.pin_left in {1, renewals.manners.pin_tries}
        branch.insert_again()
        branch.person.releases = True

        branch.rounds(3)

        assert card.pin_left >= 1
        branch.desk.session().verify_pin(PIN, last_try_released=True)
        renewals.assert_done(branch)
