"""Pulls the token at every command of a renewal, and kills the station at every step of it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from tests.token_station.station.branch import RENEWAL, Branch
from tests.token_station.tokens import PIN, Desk, PretendCa
from token_station.errors import CardRemovedError
from token_station.journal import Step
from token_station.piv.keys import RSA2048
from token_station.reader_views import ReaderStatus

if TYPE_CHECKING:
    from pathlib import Path

    from renewal.db.engine import Store
    from token_station.port import Transport
    from token_station.simulator.card_profiles import CardProfile

#: Commands of a whole renewal with P-256, in two visits: to ask for it, and to write it. Fifteen
#: of them find out that nobody's key of any kind is where the new one will be.
ASKING, WRITING = 47, 15
MOMENTS = ("before", "after")


class Counted:
    """A reader that counts the commands of its connections."""

    def __init__(self, desk: Desk) -> None:
        self.name, self._reader, self.frames = desk.reader.name, desk.reader, 0

    def connect(self) -> Transport | None:
        connection = self._reader.connect()
        return None if connection is None else _CountedConnection(self, connection)


class _CountedConnection:
    def __init__(self, reader: Counted, connection: Transport) -> None:
        self._reader, self._connection = reader, connection

    def transmit(self, frame: bytes) -> tuple[bytes, int]:
        self._reader.frames += 1
        return self._connection.transmit(frame)


def test_a_renewal_by_the_station_takes_so_many_commands(branch: Branch) -> None:
    counted = Counted(branch.desk)
    branch.station.readers = [counted]
    branch.centre.ask()

    branch.round()
    asking = counted.frames
    branch.round()

    assert (asking, counted.frames - asking) == (ASKING, WRITING)


def pull_at(branch: Branch, command: int, moment: str) -> None:
    reader = branch.desk.reader
    (reader.pull_before if moment == "before" else reader.pull_after)(command)


@pytest.mark.shows("D05", "A12")
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("command", range(1, ASKING + WRITING + 1))
def test_a_token_pulled_at_any_command_is_renewed_once_it_is_back(
    branch: Branch, command: int, moment: str
) -> None:
    killed = (command % 2 == 0) == (moment == "after")  # the station is started again, too
    visit, command = (1, command) if command <= ASKING else (2, command - ASKING)
    branch.centre.ask()
    branch.rounds(visit - 1)
    pull_at(branch, command, moment)

    seen = branch.round()

    assert seen[0].status in {ReaderStatus.REMOVED, ReaderStatus.EMPTY}
    assert branch.desk.reader.card is None
    branch.insert_again()
    branch.assert_old_works()
    if killed:
        branch.started()
    assert branch.rounds(2)[-1].status in {ReaderStatus.DONE, ReaderStatus.OTHER_TOKEN}
    branch.assert_renewed()
    assert branch.deeds("generate") == [("9A", "ok")]
    assert branch.desk.card.pin_left == branch.desk.manners.pin_tries


class Killed(BaseException):
    pass


#: Steps that only an enrolment has: test_enrolment.py kills the station at each of them.
OF_AN_ENROLMENT = {
    Step.PREPARING,
    Step.MARKED,
    Step.SETTING_PUK,
    Step.PREPARED,
    Step.PIN_SET,
}
NOT_HERE = {Step.DECLINING, Step.ENDED} | OF_AN_ENROLMENT
POINTS = [
    *((f"{when} {step}", 1) for step in Step if step not in NOT_HERE for when in MOMENTS),
    *((f"{when} the call", call) for call in (1, 2) for when in MOMENTS),  # generate, put
]


def kill_at(branch: Branch, point: str, time: int = 1) -> None:
    passed: list[str] = []

    def probe(name: str) -> None:
        passed.append(name)
        if name == point and passed.count(name) == time:
            raise Killed

    branch.station.probe = probe


@pytest.mark.shows("D05")
@pytest.mark.parametrize(("point", "time"), POINTS)
def test_a_station_killed_at_any_step_goes_on_from_its_journal(
    branch: Branch, point: str, time: int
) -> None:
    kill_at(branch, point, time)
    branch.centre.ask()
    with pytest.raises(Killed):
        branch.rounds(3)
    branch.insert_again()
    branch.started()
    branch.assert_old_works()

    branch.rounds(3)

    branch.assert_renewed()
    assert branch.deeds("generate") == [("9A", "ok")]


@pytest.fixture(params=["P-256", RSA2048])
def either(
    tmp_path: Path,
    store: Store,
    ca: PretendCa,
    manners: CardProfile,
    request: pytest.FixtureRequest,
) -> Branch:
    desk = Desk(tmp_path, manners=manners, ca=ca, algorithm=request.param)
    return Branch(tmp_path, store, [desk])


@pytest.mark.parametrize("point", ["before the call", "after the call", "before key made"])
def test_a_station_killed_around_the_making_of_a_key_makes_no_second_one(
    either: Branch, point: str
) -> None:
    branch = either
    kill_at(branch, point)
    branch.centre.ask()
    with pytest.raises(Killed):
        branch.rounds(1)
    branch.insert_again()
    branch.started()

    branch.rounds(2)

    assert branch.deeds("generate") == [("9A", "ok")]
    branch.assert_renewed()


@pytest.mark.parametrize("point", ["before the call", "after the call"])
def test_the_key_of_an_abandoned_renewal_is_not_taken_for_the_new_one(
    branch: Branch, point: str
) -> None:
    leftover = branch.desk.session().generate("9A", "P-256")
    kill_at(branch, point)
    branch.centre.ask(replace_keys_sha256=(hashlib.sha256(leftover).hexdigest(),))
    with pytest.raises(Killed):
        branch.rounds(1)
    branch.insert_again()
    branch.started()

    branch.rounds(2)

    assert branch.deeds("generate") == [("9A", "ok"), ("9A", "ok")]
    branch.assert_renewed()
    job = branch.station.journal.job(RENEWAL)
    assert job is not None
    assert bytes.fromhex(job.spki or "") != leftover


def test_a_key_of_another_kind_is_replaced(tmp_path: Path, store: Store, ca: PretendCa) -> None:
    branch = Branch(tmp_path, store, [Desk(tmp_path, ca=ca)])
    before = branch.desk.session().generate("9A", RSA2048)
    branch.centre.ask(replace_keys_sha256=(hashlib.sha256(before).hexdigest(),))

    branch.rounds(2)

    assert len(branch.deeds("generate")) == 2
    branch.assert_renewed()


def test_a_session_tells_no_key_where_none_is(desk: Desk) -> None:
    assert desk.session().find_key("9A", "P-256", pin=PIN) is None


@pytest.mark.parametrize("algorithm", ["P-256", RSA2048])
def test_a_session_finds_out_the_key_that_another_one_made(desk: Desk, algorithm: str) -> None:
    made = desk.session().generate("9A", algorithm)

    assert desk.session().find_key("9A", algorithm, pin=PIN) == made


def test_a_pull_amid_finding_out_is_a_pull(desk: Desk) -> None:
    desk.session().generate("9A", "P-256")
    session = desk.session()
    desk.reader.pull_after(3)

    with pytest.raises(CardRemovedError):
        session.find_key("9A", "P-256", pin=PIN)
