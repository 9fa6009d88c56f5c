"""Enrols blank tokens by the station, with the station killed on the way."""

from __future__ import annotations

import json
from itertools import product
from typing import TYPE_CHECKING

import pytest

from tests.token_station.makers import Maker
from tests.token_station.station.blank_desk import BlankDesk, NewHolder, assert_enrolled
from tests.token_station.station.branch import RENEWAL, Branch
from tests.token_station.station.test_pulled import Counted, Killed, kill_at
from tests.token_station.tokens import MANAGEMENT_KEY, PIN, SERIAL, Desk, PretendCa
from token_station.journal import Step
from token_station.reader_views import ReaderStatus

if TYPE_CHECKING:
    from pathlib import Path

    from renewal.db.engine import Store
    from token_station.simulator.card_profiles import CardProfile

#: Commands of a whole enrolment with P-256, in two visits.
ASKING, WRITING = 63, 19
MOMENTS = ("before", "after")
STEPS = [step for step in Step if step not in {Step.SEEN, Step.DECLINING, Step.ENDED}]


@pytest.fixture
def branch(tmp_path: Path, store: Store, manners: CardProfile, ca: PretendCa) -> Branch:
    desk = BlankDesk(tmp_path, manners=manners, ca=ca)
    return Branch(tmp_path, store, [desk], person=NewHolder())


def test_a_blank_token_becomes_a_customer_s(branch: Branch) -> None:
    counted = Counted(branch.desk)
    branch.station.readers = [counted]
    branch.centre.ask_enrolment()

    first = branch.round()
    asking = counted.frames
    second = branch.round()

    assert [one.status for one in (*first, *second)] == [
        ReaderStatus.WAITS_FOR_CA,
        ReaderStatus.DONE,
    ]
    assert (asking, counted.frames - asking) == (ASKING, WRITING)
    assert_enrolled(branch)


def test_a_token_that_tells_its_serial_needs_nobody_to_say_which_it_is(
    tmp_path: Path, store: Store, manners: CardProfile, ca: PretendCa
) -> None:
    desk = BlankDesk(tmp_path, manners=manners, ca=ca, tells_serial=True)
    branch = Branch(tmp_path, store, [desk], person=NewHolder(assigns=False))
    branch.centre.ask_enrolment()

    branch.rounds(2)

    assert_enrolled(branch)


def test_a_blank_token_of_which_nobody_says_what_it_is_stays_as_it_is(branch: Branch) -> None:
    branch.station.operator = NewHolder(assigns=False)
    before = branch.desk.card_path.read_bytes()
    branch.centre.ask_enrolment()

    seen = branch.rounds(2)

    assert {one.status for one in seen} == {ReaderStatus.TROUBLE}
    assert branch.desk.card_path.read_bytes() == before


def test_a_token_that_cannot_be_read_is_warned_of_once_while_it_is_in_its_reader(
    branch: Branch, caplog: pytest.LogCaptureFixture
) -> None:
    branch.station.operator = NewHolder(assigns=False)

    branch.rounds(3)
    once = caplog.messages.count("token not read")
    branch.desk.reader.pull()
    branch.round()
    branch.insert_again()
    branch.rounds(2)

    assert once == 1
    assert caplog.messages.count("token not read") == 2


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("step", STEPS)
def test_a_station_killed_at_any_step_of_an_enrolment_goes_on(
    branch: Branch, step: Step, moment: str
) -> None:
    kill_at(branch, f"{moment} {step}")
    branch.centre.ask_enrolment()
    with pytest.raises(Killed):
        branch.rounds(3)
    branch.insert_again()
    branch.started()

    branch.rounds(3)

    assert_enrolled(branch)


CHANGE_CODE = 0x24


class PulledAtTheCode:
    """A reader out of which the token comes at each change of the unblocking code."""

    def __init__(self, branch: Branch, moment: str) -> None:
        self.name, self._branch, self._moment = branch.desk.reader.name, branch, moment

    def connect(self) -> PulledAtTheCode | None:
        return self if self._branch.desk.reader.card else None

    def transmit(self, frame: bytes) -> tuple[bytes, int]:
        reader = self._branch.desk.reader
        if frame[1] == CHANGE_CODE:
            (reader.pull_before if self._moment == "before" else reader.pull_after)(1)
        connection = reader.connect()
        assert connection is not None
        return connection.transmit(frame)


@pytest.mark.parametrize("moments", list(product(MOMENTS, repeat=4)))
def test_a_token_pulled_again_and_again_at_its_unblocking_code_asks_before_the_last_try(
    branch: Branch, moments: tuple[str, ...]
) -> None:
    branch.centre.ask_enrolment()
    for moment in moments:
        branch.started().readers = [PulledAtTheCode(branch, moment)]
        branch.round()
        branch.insert_again()

    branch.started()
    assert branch.round()[0].status is ReaderStatus.LAST_TRY
    assert branch.desk.reader.card is not None
    assert branch.desk.reader.card.puk_left > 0
    branch.person.releases = True
    branch.rounds(2)

    assert_enrolled(branch)


def test_a_token_in_use_is_declined_by_name_and_stays_as_it_is(
    tmp_path: Path, store: Store, manners: CardProfile, ca: PretendCa
) -> None:
    branch = Branch(tmp_path, store, [Desk(tmp_path, manners=manners, ca=ca)], person=NewHolder())
    before = branch.desk.card_path.read_bytes()
    branch.centre.ask_enrolment()

    seen = branch.rounds(2)

    assert seen[0].status is ReaderStatus.DECLINED
    assert branch.centre.declined == ["the token is not blank: there is a certificate in 9C"]
    assert branch.desk.card_path.read_bytes() == before


def test_a_token_that_nobody_vouches_for_is_declined_before_anything_is_done(
    branch: Branch,
) -> None:
    branch.station.anchors = Maker().anchors
    before = branch.desk.card_path.read_bytes()
    branch.centre.ask_enrolment()

    assert branch.rounds(2)[0].status is ReaderStatus.DECLINED

    assert "neither an attestation" in branch.centre.declined[0]
    assert branch.desk.card_path.read_bytes() == before


def test_a_maker_s_token_is_enrolled_and_its_key_attested(branch: Branch) -> None:
    maker = Maker()
    maker.give_attestation(branch.desk.card_path)
    branch.insert_again()
    branch.station.anchors = maker.anchors
    branch.centre.ask_enrolment()

    branch.rounds(2)

    assert_enrolled(branch)


def test_a_blank_token_that_proves_itself_by_its_card_key_is_enrolled(branch: Branch) -> None:
    maker = Maker()
    maker.give_card_key(branch.desk.card_path, serial=SERIAL)
    branch.insert_again()
    branch.station.anchors = maker.anchors
    branch.centre.ask_enrolment()

    branch.rounds(2)

    assert_enrolled(branch)


def test_a_first_pin_is_asked_for_until_one_will_do(branch: Branch) -> None:
    person = NewHolder(first_pins=[None, "12", "abcdef", PIN])
    branch.station.operator = person
    branch.centre.ask_enrolment()

    said = [one.status for one in branch.rounds(5)]

    assert said[:4] == [
        ReaderStatus.WAITS_FOR_PIN,
        ReaderStatus.PIN_UNFIT,
        ReaderStatus.PIN_UNFIT,
        ReaderStatus.WAITS_FOR_CA,
    ]
    assert_enrolled(branch)
    assert person.asked_first == 4


def test_neither_pin_nor_code_nor_key_is_in_the_journal(branch: Branch) -> None:
    branch.centre.ask_enrolment()
    branch.rounds(2)

    text = branch.journal_path.read_text()
    assert PIN not in text
    assert MANAGEMENT_KEY.hex() not in text
    assert SERIAL in text
    job = branch.station.journal.job(RENEWAL)
    assert job is not None
    assert json.loads(text.splitlines()[0])["is_enrolment"]
