"""Lets the station renew tokens in real readers, and takes readers and service from it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.scenario.stores import opened, sqlite_url
from tests.token_station.pcsc.daemon import SOON, PrivatePcscd, wait_until
from tests.token_station.station.blank_desk import BlankDesk, NewHolder, assert_enrolled
from tests.token_station.station.branch import RENEWAL, Branch
from tests.token_station.tokens import Desk
from token_station.journal import Step
from token_station.reader_views import ReaderStatus
from token_station.simulator.card import SimulatedCard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.token_station.tokens import PretendCa
    from token_station.journal import JournalEntry
    from token_station.pcsc import PcscReaders
    from token_station.simulator.card_profiles import CardProfile

#: Commands of the first visit at which the token is pulled: before the PIN, around the making of
#: the key, amid the signatures. The matrix of all of them runs in process.
ASKING = (5, 9, 14, 20, 25)
WRITING = (3, 8, 13)


@pytest.fixture
def branch(
    tmp_path: Path, readers: PcscReaders, manners: CardProfile, ca: PretendCa
) -> Iterator[Branch]:
    desk = Desk(tmp_path, manners=manners, ca=ca)
    desk.reader.pull()
    with opened(sqlite_url(tmp_path), make=True) as store:
        made = Branch(tmp_path, store, [desk])
        made.station.readers = readers
        made.station.parallel = 16
        yield made


def put_in(pcscd: PrivatePcscd, readers: PcscReaders, branch: Branch, slot: int = 0) -> None:
    desk = branch.desk
    pcscd.insert(SimulatedCard(desk.card_path, desk.manners, desk.ledger), slot)
    wait_until(readers, lambda: readers.has_token(pcscd.names[slot]))


def take_out(pcscd: PrivatePcscd, readers: PcscReaders) -> None:
    for slot in pcscd.slots:
        slot.pull()
    wait_until(readers, lambda: not any(map(readers.has_token, readers.names)))


def until_done(branch: Branch) -> None:
    until = time.monotonic() + SOON
    while not is_over(branch):
        assert time.monotonic() < until, "not renewed in time"
        branch.round()


def is_over(branch: Branch) -> bool:
    job = branch.station.journal.job(RENEWAL)
    return job is not None and job.step in {Step.DONE, Step.ENDED}


def assert_renewed_once(pcscd: PrivatePcscd, readers: PcscReaders, branch: Branch) -> None:
    """Judged in process, on the same card."""
    take_out(pcscd, readers)
    branch.insert_again()
    branch.assert_renewed()
    assert branch.deeds("generate") == [("9A", "ok")]
    assert branch.desk.card is not None


def test_a_token_in_a_real_reader_is_renewed_by_the_station(
    pcscd: PrivatePcscd, readers: PcscReaders, branch: Branch
) -> None:
    branch.centre.ask()
    put_in(pcscd, readers, branch)

    until_done(branch)

    assert_renewed_once(pcscd, readers, branch)


@pytest.mark.parametrize(
    ("visit", "command"), [*((1, n) for n in ASKING), *((2, n) for n in WRITING)]
)
def test_a_token_pulled_amid_a_visit_is_renewed_in_another_reader(
    pcscd: PrivatePcscd, readers: PcscReaders, branch: Branch, visit: int, command: int
) -> None:
    branch.centre.ask()
    put_in(pcscd, readers, branch)
    branch.rounds(visit - 1)
    pcscd.slots[0].reader.pull_after(command)
    assert ReaderStatus.REMOVED in {seen.status for seen in branch.round()}
    wait_until(readers, lambda: not readers.has_token(pcscd.names[0]))

    put_in(pcscd, readers, branch, slot=1)
    until_done(branch)

    assert_renewed_once(pcscd, readers, branch)


def test_a_service_killed_between_two_visits_loses_nothing(
    pcscd: PrivatePcscd, readers: PcscReaders, branch: Branch
) -> None:
    branch.centre.ask()
    put_in(pcscd, readers, branch)
    branch.round()
    pcscd.pull_all()
    pcscd.kill()
    wait_until(readers, lambda: len(readers) == 0)
    assert branch.round() == []

    pcscd.start()
    wait_until(readers, lambda: pcscd.names[0] in readers.names)
    put_in(pcscd, readers, branch)
    until_done(branch)

    assert RENEWAL in branch.centre.issued
    assert_renewed_once(pcscd, readers, branch)


#: Commands of an enrolment's first visit at which the blank token is pulled: at the serial, the
#: management key, the unblocking code and the making of the key.
ENROLLING = (16, 22, 28, 55)


@pytest.mark.parametrize("command", ENROLLING)
def test_a_blank_token_pulled_from_a_real_reader_is_enrolled_in_another(  # noqa: PLR0917 - fixtures
    tmp_path: Path,
    pcscd: PrivatePcscd,
    readers: PcscReaders,
    manners: CardProfile,
    ca: PretendCa,
    command: int,
) -> None:
    desk = BlankDesk(tmp_path, manners=manners, ca=ca)
    desk.reader.pull()
    branch = Branch(tmp_path, None, [desk], person=AnyReader())
    branch.station.readers = readers
    branch.centre.ask_enrolment()
    put_in(pcscd, readers, branch)
    pcscd.slots[0].reader.pull_after(command)
    branch.round()
    wait_until(readers, lambda: not readers.has_token(pcscd.names[0]))

    put_in(pcscd, readers, branch, slot=1)
    until_done(branch)

    take_out(pcscd, readers)
    branch.insert_again()
    assert_enrolled(branch)


class AnyReader(NewHolder):
    """Says that the blank token is the one that was ordered, whichever reader it is in."""

    def assigns_serial(self, job: JournalEntry, reader: str) -> bool:
        del reader
        return bool(job.is_enrolment)
