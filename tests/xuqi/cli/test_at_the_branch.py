"""Shows the station and the tokens as a person at the branch uses them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.xuqi.sample import ANOTHER_CARD, CARD, CORPORATE, PIN, PUK
from token_station.simulator import card_profiles
from token_station.simulator.card_memory import load
from xuqi.process_lock import ProcessLock, StationLock

if TYPE_CHECKING:
    from pathlib import Path

    from tests.xuqi.sample import Bank

SERIAL = "029dc2d3"


@pytest.fixture
def waiting(bank: Bank) -> Bank:
    """A token in a reader, and its renewal waits at the branch."""
    bank.card(CARD)
    asked = ("--branch", "001", "--who", "T01", "--why", "asked at the counter")
    assert bank.run("renewals", "start", str(CARD), *asked).exit_code == 0
    bank.drain()
    return bank


def card_file(bank: Bank, serial: str = SERIAL) -> Path:
    return bank.home / "cards" / f"{serial}.json"


def tries_left(bank: Bank) -> int:
    return load(card_file(bank)).pin_left


def state_of(bank: Bank) -> str:
    [row] = bank.listed("renewals", "list")
    return str(row["state"])


def test_a_token_is_renewed_when_its_pin_is_typed(waiting: Bank) -> None:
    asked = waiting.run("station", "--once", "--wait", "0", typed=f"{PIN}\n")
    waiting.drain()
    written = waiting.run("station", "--once", "--wait", "0", typed=f"{PIN}\n")
    waiting.drain()

    assert "waits for the new certificate" in asked.stdout
    assert (written.exit_code, "written and proven" in written.stdout) == (0, True)
    assert "tries left, PIN" in asked.stderr
    assert PIN not in asked.output + written.output
    assert state_of(waiting) == "done"


@pytest.mark.shows("A11")
@pytest.mark.shows("A12")
def test_the_renewed_token_shows_two_rows_one_serial_and_two_ends(waiting: Bank) -> None:
    for _ in range(2):
        waiting.run("station", "--once", "--wait", "0", typed=f"{PIN}\n")
        waiting.drain()

    rows = waiting.listed("token", "show")

    assert [row["token"] for row in rows] == [SERIAL, SERIAL]
    assert len({row["valid_to"] for row in rows}) == 2
    assert len({row["certificate"] for row in rows}) == 2
    assert waiting.run("token", "show").stdout.count(SERIAL) == 2


def test_without_a_pin_nothing_is_tried(waiting: Bank) -> None:
    result = waiting.run("station", "--once", typed="\n")

    assert (result.exit_code, "waits for the PIN" in result.stdout) == (1, True)
    assert tries_left(waiting) == card_profiles.JAVACARD.pin_tries


def test_a_script_tries_a_wrong_pin_once(waiting: Bank) -> None:
    result = waiting.run("station", "--once", "--wait", "0", typed="654321\n654321\n654321\n")

    assert (result.exit_code, "the PIN is wrong" in result.stdout) == (1, True)
    assert tries_left(waiting) == card_profiles.JAVACARD.pin_tries - 1


def test_a_wrong_pin_is_not_tried_on_while_another_token_waits_for_its_certificate(
    waiting: Bank,
) -> None:
    waiting.card(ANOTHER_CARD)
    asked = ("--branch", "001", "--who", "T01", "--why", "asked at the counter")
    assert waiting.run("renewals", "start", str(ANOTHER_CARD), *asked).exit_code == 0
    waiting.drain()

    typed = f"654321\n{PIN}\n" + "654321\n" * 9
    result = waiting.run("station", "--once", "--wait", "0.7", typed=typed)

    assert "waits for the new certificate" in result.stdout
    assert tries_left(waiting) == card_profiles.JAVACARD.pin_tries - 1


def test_the_last_try_is_spent_only_after_an_express_yes(waiting: Bank) -> None:
    for _ in range(card_profiles.JAVACARD.pin_tries - 1):
        waiting.run("station", "--once", "--wait", "0", typed="654321\n")

    kept = waiting.run("station", "--once", "--wait", "0", typed=f"{PIN}\nn\n")
    left = tries_left(waiting)
    used = waiting.run("station", "--once", "--wait", "0", typed=f"{PIN}\ny\n")

    assert "must release it" in kept.stdout
    assert left == 1
    assert "waits for the new certificate" in used.stdout


def test_a_person_looks_again_until_everything_is_done(waiting: Bank) -> None:
    result = waiting.run("station", "--wait", "0", typed=f"\n\n{PIN}\nq\n")

    assert result.stdout.index("waits for the PIN") < result.stdout.index("waits for the new")


def test_a_branch_without_readers_is_told_so(bank: Bank) -> None:
    result = bank.run("station", "--once")

    assert (result.exit_code, "no reader" in result.stderr) == (1, True)


def test_two_persons_do_not_use_the_same_readers(waiting: Bank) -> None:
    with StationLock(waiting.home, "001").for_a_person():
        result = waiting.run("token", "list")

    assert (result.exit_code, "in use" in result.stderr) == (3, True)


def test_a_service_gives_way_to_a_person(bank: Bank) -> None:
    service, person = StationLock(bank.home, "001"), StationLock(bank.home, "001")
    assert service.take_for_service()
    assert not service.wanted()
    service.release()

    before = ProcessLock(bank.home / "station" / "001.wanted")
    assert before.take()  # as a person does who waits for the service to let go
    assert not service.take_for_service()
    before.release()
    with person.for_a_person():
        assert service.wanted()
        assert not service.take_for_service()

    assert service.take_for_service()
    service.release()


# --- tokens -------------------------------------------------------------------------------------


def test_tokens_are_listed_with_their_tries_left(bank: Bank) -> None:
    bank.card(CORPORATE)
    bank.card(CARD, make=card_profiles.NATIVE)

    rows = bank.listed("token", "list")

    assert [(row["serial"], row["tries_left"], row["certificates"]) for row in rows] == [
        ("029dc2d2", card_profiles.JAVACARD.pin_tries, 1),
        ("029dc2d3", card_profiles.NATIVE.pin_tries, 1),
    ]


def test_of_several_tokens_one_must_be_named(bank: Bank) -> None:
    bank.card(CORPORATE)
    bank.card(CARD)

    unnamed = bank.run("token", "show")
    named = bank.listed("token", "show", "--token", SERIAL)

    assert (unnamed.exit_code, "--token" in unnamed.stderr) == (1, True)
    assert [row["token"] for row in named] == [SERIAL]


@pytest.mark.shows("A15")
def test_a_pin_is_changed_and_the_old_one_is_no_more(bank: Bank) -> None:
    bank.card(CARD)

    changed = bank.run("token", "change-pin", typed=f"{PIN}\n222222\n222222\n")
    again = bank.run("token", "change-pin", typed=f"{PIN}\n333333\n333333\n")

    assert (changed.exit_code, "5 tries left" in changed.stdout) == (0, True)
    assert (again.exit_code, "4 tries left" in again.stderr) == (1, True)
    assert "222222" not in changed.output


@pytest.mark.parametrize(
    ("typed", "why"),
    [(f"{PIN}\n222222\n222223\n", "differ"), (f"{PIN}\n12\n12\n", "6 to 8 digits")],
)
def test_a_new_pin_that_cannot_be_one_costs_no_try(bank: Bank, typed: str, why: str) -> None:
    bank.card(CARD)

    result = bank.run("token", "change-pin", typed=typed)

    assert (result.exit_code, why in result.stderr) == (1, True)
    assert tries_left(bank) == card_profiles.JAVACARD.pin_tries


def test_a_blocked_pin_is_set_anew_with_the_unblocking_code(bank: Bank) -> None:
    bank.card(CARD)
    path = card_file(bank)
    path.write_text(json.dumps({**json.loads(path.read_text()), "pin_left": 0}))

    blocked = bank.run("token", "change-pin", typed=f"{PIN}\n222222\n222222\n")
    refused = bank.run("token", "unblock", typed="n\n")
    unblocked = bank.run("token", "unblock", typed=f"y\n{PUK}\n222222\n222222\n")

    assert (blocked.exit_code, "blocked" in blocked.stderr) == (1, True)
    assert refused.exit_code == 1
    assert (unblocked.exit_code, tries_left(bank)) == (0, card_profiles.JAVACARD.pin_tries)


def test_a_file_that_holds_no_card_is_named(bank: Bank) -> None:
    card_file(bank, "broken").parent.mkdir()
    card_file(bank, "broken").write_text("{}")

    result = bank.run("token", "list")

    assert (result.exit_code, "broken.json" in result.stderr) == (1, True)
