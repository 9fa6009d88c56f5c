"""C10: what the branch must record after a renewal, by when, and what the customer is told."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from back_office.tokens import TokenActions
from renewal.errors import NotNowError
from renewal.lifecycle.recordings import codes_of
from scheduler import jobs
from schema.taipei import day_of, end_of
from tests.scenario.sample import CARD, open_sample, policies_with
from xuqi.check import run_checks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from renewal.db.rows import Recording
    from tests.scenario.scenario import Scenario

DAYS = 3
WHO = {"who": "lin", "why": "taken down at the counter"}
CODES = ("123456789012", "２１０９-８７６５ 4321")


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Scenario]:
    """The sample bank, whose cards are recorded by their branch within three days."""
    folder = policies_with(
        tmp_path / "policies",
        "statement = true",
        f"statement = true\nbranch_recording_days = {DAYS}",
    )
    bank = open_sample(tmp_path / "bank", policies=folder)
    bank.requested(CARD)
    bank.at_the_branch(bank.station(CARD))
    yield bank
    bank.close()


def recording(bank: Scenario) -> Recording:
    with bank.store.snapshot() as look:
        return look.recordings.get("R00000003-01")


def messages(bank: Scenario) -> list[str]:
    query = "SELECT kind FROM messages WHERE handed_at IS NOT NULL ORDER BY handed_at, id"
    return [kind for (kind,) in bank.rows(query)]


@pytest.mark.shows("C10")
def test_transfers_are_usable_once_the_branch_has_recorded_the_renewal(bank: Scenario) -> None:
    waiting = recording(bank)
    told_to_wait = "\n".join(bank.letters())

    row = TokenActions(bank.store).record(waiting.renewal, CODES, **WHO)
    bank.drain()

    assert (waiting.state, waiting.branch) == ("due", "001")
    assert waiting.due_at == end_of(day_of(waiting.opened_at + timedelta(days=DAYS)))
    assert "轉帳功能才會恢復" in told_to_wait
    assert (row.state, row.recorded_by) == ("recorded", "lin")
    with bank.store.snapshot() as look:
        assert codes_of(look, row) == ["123456789012", "210987654321"]
    assert "轉帳功能已恢復" in bank.letters()[-1]
    assert messages(bank).count("transfers") == 2
    assert run_checks(bank.app).counts.total() == 0


def test_the_user_codes_are_sealed(bank: Scenario) -> None:
    row = TokenActions(bank.store).record("R00000003-01", CODES, **WHO)

    assert row.codes_sealed is not None
    assert b"123456789012" not in row.codes_sealed
    assert not any("123456789012" in str(line) for line in bank.rows("SELECT * FROM audit"))


def test_what_is_not_recorded_by_its_day_is_escalated_once(bank: Scenario) -> None:
    due = recording(bank).due_at
    bank.go_to(due - timedelta(minutes=1))
    jobs.tend(bank.store, bank.policies)
    in_time = recording(bank).state
    bank.go_to(due + timedelta(seconds=1))

    jobs.tend(bank.store, bank.policies)
    jobs.tend(bank.store, bank.policies)

    assert in_time == "due"
    assert recording(bank).state == "overdue"
    assert bank.rows("SELECT count(*) FROM events WHERE kind = 'recording-overdue.v1'") == [(1,)]


def test_an_overdue_one_can_still_be_recorded(bank: Scenario) -> None:
    bank.wait(days=DAYS + 1)
    jobs.tend(bank.store, bank.policies)

    TokenActions(bank.store).record("R00000003-01", (), **WHO)

    assert recording(bank).state == "recorded"


def test_a_code_that_has_not_twelve_digits_is_refused(bank: Scenario) -> None:
    with pytest.raises(NotNowError) as refused:
        TokenActions(bank.store).record("R00000003-01", ["12345"], **WHO)

    assert refused.value.reason.code == "user_code_malformed"
    assert recording(bank).state == "due"


def test_nothing_is_recorded_twice(bank: Scenario) -> None:
    TokenActions(bank.store).record("R00000003-01", CODES, **WHO)

    with pytest.raises(NotNowError) as refused:
        TokenActions(bank.store).record("R00000003-01", CODES, **WHO)

    assert refused.value.reason.code == "recorded_already"


def test_a_product_that_does_not_ask_for_it_has_nothing_to_record(world: Scenario) -> None:
    world.requested(CARD)
    world.at_the_branch(world.station(CARD))

    assert world.renewal("R00000003-01").state == "done"
    assert world.rows("SELECT renewal FROM recordings") == []
