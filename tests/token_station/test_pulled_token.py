"""Pulls the token at every single command of a renewal."""

from __future__ import annotations

import json
import shutil
import threading
import time
from typing import TYPE_CHECKING

import pytest

from renewal.rules.proof import verify_possession, verify_renewal_proof
from tests.token_station.tokens import PIN, SERIAL, Desk, PretendCa
from token_station.errors import CardRemovedError
from token_station.piv.keys import RSA2048
from token_station.signing import renewal_proof
from token_station.simulator.card import SimulatedCard

if TYPE_CHECKING:
    from pathlib import Path

    from token_station.simulator.card_profiles import CardProfile

COMMANDS = 25  #: of a whole renewal, held by test_a_renewal_takes_25_commands
RSA_PROOF = 10  #: commands of opening a token and signing a proof with RSA-2048
PUT, PUT_PARTS = 0xDB, 4  #: of a certificate of some 900 bytes
MOMENTS = ("before", "after")


def assert_old_works(desk: Desk) -> None:
    session = desk.session()
    assert session.read_certificate("9C") == desk.old
    verify_possession(desk.old, b"still here", session.sign("9C", b"still here", pin=PIN))


def pull_at(desk: Desk, command: int, moment: str) -> None:
    (desk.reader.pull_before if moment == "before" else desk.reader.pull_after)(command)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("command", range(1, COMMANDS + 1))
def test_a_token_pulled_at_any_command_keeps_working_and_is_renewed_later(
    desk: Desk, command: int, moment: str
) -> None:
    pull_at(desk, command, moment)

    with pytest.raises(CardRemovedError):
        desk.renew(desk.session())

    assert desk.reader.card is None
    card = SimulatedCard(desk.card_path, desk.manners, desk.ledger)
    desk.reader.insert(card)
    assert_old_works(desk)
    new = desk.renew(desk.session())
    assert_old_works(desk)
    session = desk.session()
    assert session.read_certificate("9A") == new
    verify_possession(new, b"new", session.sign("9A", b"new", pin=PIN))
    assert card.pin_left == desk.manners.pin_tries


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("part", range(1, PUT_PARTS + 1))
def test_a_certificate_is_written_whole_or_not_at_all(desk: Desk, part: int, moment: str) -> None:
    first = desk.renew(desk.session())
    session, counted = desk.counted_session()
    fresh = desk.ca.certify(session.generate("9A", desk.algorithm), padding=bytes(600))
    pull_at(desk, part, moment)

    with pytest.raises(CardRemovedError):
        session.write_certificate("9A", fresh)

    desk.reader.insert(desk.card)
    assert sum(frame[1] == PUT for frame in counted.frames) == part
    whole = part == PUT_PARTS and moment == "after"
    assert desk.session().read_certificate("9A") == (fresh if whole else first)
    assert_old_works(desk)


@pytest.fixture(scope="module")
def rsa_card(tmp_path_factory: pytest.TempPathFactory, ca: PretendCa) -> Desk:
    return Desk(tmp_path_factory.mktemp("rsa"), ca=ca, algorithm=RSA2048)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("command", range(1, RSA_PROOF + 1))
def test_a_token_pulled_amid_a_chained_signature_signs_again(
    rsa_card: Desk, tmp_path: Path, manners: CardProfile, command: int, moment: str
) -> None:
    copy = tmp_path / f"{SERIAL}.json"
    shutil.copy(rsa_card.card_path, copy)
    card = SimulatedCard(copy, manners)
    rsa_card.reader.insert(card)
    pull_at(rsa_card, command, moment)

    with pytest.raises(CardRemovedError):
        renewal_proof(rsa_card.session(), "9C", PIN, b"request")

    rsa_card.reader.insert(card)
    proof = renewal_proof(rsa_card.session(), "9C", PIN, b"request")
    verify_renewal_proof(proof, b"request", rsa_card.old)
    assert card.pin_left >= manners.pin_tries


def test_a_card_put_in_again_has_nothing_verified(desk: Desk) -> None:
    session = desk.session()
    session.verify_pin(PIN)
    session.authorize_write()
    assert session.tries_left() is None

    desk.reader.pull()
    desk.reader.insert(desk.card)

    assert desk.session().tries_left() == desk.manners.pin_tries


def test_putting_a_card_in_and_out_is_on_the_ledger(desk: Desk) -> None:
    desk.reader.pull()
    desk.reader.pull()
    desk.reader.insert(desk.card)

    told = [json.loads(line)["op"] for line in desk.ledger_path.read_text().splitlines()]
    assert told[-3:] == ["insert", "pull", "insert"]


def test_a_hand_may_pull_the_token_while_another_thread_talks_to_it(desk: Desk) -> None:
    session = desk.session()
    talking = threading.Event()

    def pull_when_talking() -> None:
        talking.wait(10)
        desk.reader.pull()

    def talk_on() -> None:
        for _ in range(1_000_000):
            session.tries_left()
            talking.set()

    hand = threading.Thread(target=pull_when_talking)
    hand.start()
    with pytest.raises(CardRemovedError):
        talk_on()
    hand.join()

    desk.reader.insert(desk.card)
    assert_old_works(desk)


def test_a_renewal_on_a_simulated_card_takes_less_than_30_ms_of_work(
    tmp_path: Path, ca: PretendCa
) -> None:
    desks = [Desk(tmp_path / str(n), ca=ca) for n in range(10)]
    begin = time.process_time()

    for desk in desks:
        desk.renew(desk.session())

    assert (time.process_time() - begin) / len(desks) < 0.030


def test_a_fault_ends_with_the_pull_it_was_set_for(desk: Desk) -> None:
    desk.reader.pull_before(1)
    with pytest.raises(CardRemovedError):
        desk.session()

    desk.reader.insert(desk.card)

    assert_old_works(desk)


@pytest.mark.parametrize("n", [0, -1])
def test_there_is_no_command_before_the_next(desk: Desk, n: int) -> None:
    with pytest.raises(ValueError, match="number 1"):
        desk.reader.pull_after(n)
