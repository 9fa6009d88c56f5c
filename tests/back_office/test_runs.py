"""Bulk runs: what is planned, who approves, and that every item ends in exactly one bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from back_office.runs.errors import RunRefusedError
from back_office.runs.plan import RunTerms
from back_office.runs.preview import preview
from renewal.errors import XuqiError
from renewal.store import audit
from schema.reasons import RefusalReason, RunReason
from schema.states import RunState
from tests.back_office.run_bank import CHECKER, MAKER, PRODUCT, SECOND, opened_bank

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.back_office.run_bank import RunBank


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[RunBank]:
    with opened_bank(tmp_path) as bank:
        yield bank


def refused(action: Callable[[], object]) -> object:
    with pytest.raises(RunRefusedError) as caught:
        action()
    return caught.value.reason.code


# --- plan -----------------------------------------------------------------------------------------


def test_every_row_of_the_file_is_counted_once(bank: RunBank) -> None:
    bank.certificates(4)
    bank.certificates(1, state="suspended", first=5)
    path = bank.file("編號,到期日\n１,\n2,115/12/11\n3,2026-12-12\n4,\n5,\n77,\nx,\n,\n2,\n")

    run = bank.planner.from_file(path, _terms(), who=MAKER)

    with bank.store.snapshot() as look:
        seen = preview(look, run.id, bank.policies)
    assert seen.by_product == {PRODUCT: 3}
    assert seen.excluded == {RefusalReason.SUSPENDED.value: 1}
    assert seen.refused_rows == {
        RunReason.END_DIFFERS.value: 1,
        RunReason.NO_CERTIFICATE.value: 1,
        RunReason.NUMBER_UNREADABLE.value: 1,
        RunReason.ROW_REPEATED.value: 1,
    }
    assert seen.rows == 8
    assert run.refused_rows == 4


def _terms() -> RunTerms:
    return RunTerms(name="autumn")


def test_the_same_file_is_refused_a_second_time_under_any_name(bank: RunBank) -> None:
    bank.certificates(1)
    bank.planned(1)
    copy = bank.file("certificate\n1", "copy.csv")

    code = refused(lambda: bank.planner.from_file(copy, _terms(), who=CHECKER))

    assert code is RunReason.SAME_FILE


def test_a_certificate_of_a_run_under_way_is_left_out_of_the_next(bank: RunBank) -> None:
    bank.certificates(2)
    first = bank.approved(1)

    second = bank.planned(2, 1)

    with bank.store.snapshot() as look:
        seen = preview(look, second.id, bank.policies)
    assert seen.excluded == {RunReason.IN_OTHER_RUN.value: 1}
    assert first.id != second.id


# --- approve (I10) --------------------------------------------------------------------------------


def test_nobody_approves_a_run_that_they_made_or_submitted(bank: RunBank) -> None:
    bank.certificates(1)
    run = bank.planned(1)
    bank.runs.submit(run.id, who=SECOND, why="for the maker")

    assert refused(lambda: bank.runs.approve(run.id, who=MAKER, note="mine")) is RunReason.OWN_RUN
    assert refused(lambda: bank.runs.approve(run.id, who=SECOND, note="mine")) is RunReason.OWN_RUN
    assert bank.run(run.id).state == RunState.AWAITING_APPROVAL


def test_what_was_changed_after_it_was_submitted_is_not_approved(bank: RunBank) -> None:
    bank.certificates(2)
    run = bank.planned(1)
    bank.runs.submit(run.id, who=MAKER, why="the autumn run")
    with bank.store.transaction() as work:
        item = work.run_items.get((run.id, 2))
        work.run_items.change(item, certificate=2)

    code = refused(lambda: bank.runs.approve(run.id, who=CHECKER, note="fine"))

    assert code is RunReason.MANIFEST_CHANGED


def test_an_approval_lapses_after_a_day_and_the_run_goes_back_to_its_maker(bank: RunBank) -> None:
    bank.certificates(1)
    run = bank.approved(1)
    bank.advance(seconds=24 * 3600 + 1)

    code = refused(lambda: bank.runs.start(run.id, who=MAKER, why="late"))

    assert code is RunReason.APPROVAL_EXPIRED
    assert bank.run(run.id).state == RunState.VALIDATED


# --- run ------------------------------------------------------------------------------------------


def test_nothing_is_begun_before_the_run_is_started(bank: RunBank) -> None:
    bank.certificates(1)
    run = bank.approved(1)

    bank.advance()

    assert bank.states(run.id) == {"waiting": 1}


@pytest.mark.shows("D07")
def test_each_item_ends_in_one_bucket_and_the_run_is_complete(bank: RunBank) -> None:
    bank.certificates(2)
    run = bank.started(1, 2)
    with bank.store.transaction() as work:  # refused now, and not when it was planned
        work.certificates.change(work.certificates.get(2), state="suspended")

    bank.advance()
    before = bank.states(run.id)
    bank.abandon("R00000001-01")
    bank.advance()

    assert before == {"handed on": 1, "refused": 1}
    assert bank.states(run.id) == {"declined": 1, "refused": 1}
    assert bank.run(run.id).state == RunState.COMPLETE


def test_the_throttle_holds_and_can_be_changed_while_it_runs(bank: RunBank) -> None:
    bank.certificates(30)
    run = bank.started(*range(1, 31), per_minute=10)

    bank.advance(seconds=30)
    slow = bank.states(run.id)["handed on"]
    bank.runs.throttle(run.id, 6_000, who=CHECKER, why="the CA is idle")
    bank.advance(seconds=1)

    assert slow == 5
    assert bank.states(run.id) == {"handed on": 30}


def test_outside_its_hours_nothing_is_begun(bank: RunBank) -> None:
    bank.certificates(1)
    run = bank.started(1)

    bank.advance(seconds=10 * 3600)  # 22:00 in Taipei
    late = bank.states(run.id)
    bank.advance(seconds=12 * 3600)  # 10:00
    bank.advance(seconds=60)

    assert late == {"waiting": 1}
    assert bank.states(run.id) == {"handed on": 1}


def test_a_bad_canary_pauses_the_run_by_itself(bank: RunBank) -> None:
    bank.certificates(40)
    run = bank.started(*range(1, 41), canary=20)
    with bank.store.transaction() as work:
        for number in (1, 2):
            work.certificates.change(work.certificates.get(number), state="suspended")

    bank.advance()

    paused = bank.run(run.id)
    assert (paused.state, paused.why) == (RunState.PAUSED, RunReason.TOO_MANY_FAILURES.value)
    assert bank.states(run.id) == {"handed on": 18, "refused": 2, "waiting": 20}


def test_a_good_canary_lets_the_rest_go(bank: RunBank) -> None:
    bank.certificates(40)
    run = bank.started(*range(1, 41), canary=20)

    bank.advance()

    assert bank.states(run.id) == {"handed on": 40}


def test_a_cancelled_run_begins_nothing_more_and_what_is_in_hand_goes_on(bank: RunBank) -> None:
    bank.certificates(3)
    run = bank.started(1, 2, 3, per_minute=2)
    bank.advance(seconds=30)

    bank.runs.cancel(run.id, who=CHECKER, why="wrong list")
    bank.advance()
    at_once = bank.states(run.id)
    bank.abandon("R00000001-01")
    bank.advance()

    assert at_once == {"handed on": 1, "cancelled": 2}
    assert bank.states(run.id) == {"declined": 1, "cancelled": 2}


def test_a_failed_item_has_its_turn_again_when_a_person_wishes_it(
    bank: RunBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank.certificates(2)
    run = bank.started(1, 2, per_minute=60)
    with monkeypatch.context() as broken:
        broken.setattr("renewal.rules.fee.amount_at", _no_level)
        bank.advance(seconds=1)
    failed = bank.states(run.id)

    count = bank.runs.retry(run.id, who=CHECKER, why="the fee is there now")
    bank.advance(seconds=5)

    assert failed == {"failed": 1, "waiting": 1}
    assert count == 1
    assert bank.states(run.id) == {"handed on": 2}


def _no_level(*_: object) -> int:
    raise XuqiError("no fee is known for today")


def test_each_step_of_a_person_is_in_the_audit_trail(bank: RunBank) -> None:
    bank.certificates(1)
    bank.started(1)

    with bank.store.snapshot() as look:
        done = [(row["who"], row["did"]) for row in audit.entries(look)]
    assert done == [
        (MAKER, "plan run"),
        (MAKER, "submit run"),
        (CHECKER, "approve run"),
        (MAKER, "start run"),
    ]
