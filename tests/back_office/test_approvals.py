"""Who may let a bulk run through, and how many it takes (I10): each test tries to do with fewer."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import httpx
import pytest

from back_office.console.app import console_app
from back_office.runs.errors import RunRefusedError
from back_office.runs.limits import ApprovalLimits, ApprovalLimitsError, Limit, read_limits
from back_office.runs.plan import RunTerms
from back_office.staff import Staff, StaffRole
from schema.reasons import RunReason
from schema.states import RunState
from templates.bank_file import sample_bank
from templates.rendering import MessageRenderer
from tests.back_office.run_bank import CHECKER, MAKER, SECOND, opened_bank
from tests.xuqi import sample
from xuqi.serving.http import listening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.back_office.run_bank import RunBank

PASSWORD = "a clerk's very long password"  # noqa: S105 - of a clerk in a story
TWO_ITEMS = ApprovalLimits(
    alone={
        "checker": Limit(items=2, amount=1_000_000),
        "administrator": Limit(items=50, amount=0),
    }
)


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[RunBank]:
    with opened_bank(tmp_path) as bank:
        bank.limits = TWO_ITEMS
        bank.certificates(9)
        yield bank


def submitted(bank: RunBank, *numbers: int) -> int:
    run = bank.planned(*numbers).id
    bank.runs.submit(run, who=MAKER, why="the autumn run")
    return run


def refused(bank: RunBank, run: int, who: str) -> object:
    with pytest.raises(RunRefusedError) as caught:
        bank.runs.approve(run, who=who, note="fine")
    return caught.value.reason.code


def test_up_to_the_limit_one_approver_suffices_and_one_more_item_takes_two(bank: RunBank) -> None:
    at_the_limit, above = submitted(bank, 1, 2), submitted(bank, 3, 4, 5)

    one = bank.runs.approve(at_the_limit, who=CHECKER, note="fine")
    first = bank.runs.approve(above, who=CHECKER, note="fine")
    same = refused(bank, above, CHECKER)
    second = bank.runs.approve(above, who=SECOND, note="fine")

    assert (one.state, one.seconded_by) == (RunState.APPROVED, None)
    assert first.state == RunState.AWAITING_APPROVAL
    assert same is RunReason.APPROVED_TWICE
    assert (second.state, second.approved_by, second.seconded_by) == (
        RunState.APPROVED,
        CHECKER,
        SECOND,
    )


def test_neither_of_the_two_is_the_maker_however_the_name_is_spelled(bank: RunBank) -> None:
    run = submitted(bank, 1, 2, 3)
    bank.runs.approve(run, who=CHECKER, note="fine")

    as_maker = [refused(bank, run, name) for name in (MAKER, "Lin", "LIN ", "ｌｉｎ")]
    as_checker = [refused(bank, run, name) for name in ("Chen", "CHEN")]

    assert set(as_maker) == {RunReason.OWN_RUN}
    assert set(as_checker) == {RunReason.APPROVED_TWICE}
    assert bank.run(run).state == RunState.AWAITING_APPROVAL


def test_a_list_in_many_parts_is_no_smaller_than_the_list(bank: RunBank) -> None:
    first, second = submitted(bank, 1, 2), submitted(bank, 3)
    bank.runs.approve(first, who=CHECKER, note="fine")

    part = bank.runs.approve(second, who=SECOND, note="fine")
    bank.advance(seconds=24 * 3600 + 1)
    next_day = bank.runs.approve(second, who=SECOND, note="fine")

    assert part.state == RunState.AWAITING_APPROVAL
    assert next_day.state == RunState.APPROVED


def test_a_list_in_parts_by_a_name_in_two_spellings_is_no_smaller_either(bank: RunBank) -> None:
    first, other = submitted(bank, 1, 2), bank.file("certificate\n3", "rest.csv")
    second = bank.planner.from_file(other, RunTerms(name="rest"), who="LIN ").id
    bank.runs.submit(second, who="LIN ", why="the rest")
    bank.runs.approve(first, who=CHECKER, note="fine")

    part = bank.runs.approve(second, who=SECOND, note="fine")

    assert part.state == RunState.AWAITING_APPROVAL


def test_the_first_of_two_approvals_lapses_after_a_day(bank: RunBank) -> None:
    run = submitted(bank, 1, 2, 3)
    bank.runs.approve(run, who=CHECKER, note="fine")
    bank.advance(seconds=24 * 3600 + 1)

    late = bank.runs.approve(run, who=SECOND, note="fine")
    both = bank.runs.approve(run, who=CHECKER, note="still fine")

    assert late.state == RunState.AWAITING_APPROVAL
    assert (both.state, both.approved_by, both.seconded_by) == (RunState.APPROVED, SECOND, CHECKER)


def test_a_role_with_a_larger_limit_lets_more_through(bank: RunBank) -> None:
    run = submitted(bank, 1, 2, 3)

    row = bank.runs.approve(run, who=CHECKER, note="fine", roles=("administrator", "checker"))

    assert row.state == RunState.APPROVED


def test_a_role_without_a_limit_lets_nothing_through_alone(bank: RunBank) -> None:
    run = submitted(bank, 1)

    row = bank.runs.approve(run, who=CHECKER, note="fine", roles=("auditor",))

    assert row.state == RunState.AWAITING_APPROVAL


def test_the_amount_is_a_limit_of_its_own() -> None:
    limits = ApprovalLimits(alone={"checker": Limit(items=10, amount=900)})

    assert limits.suffice({"checker"}, items=1, amount=900)
    assert not limits.suffice({"checker"}, items=1, amount=901)
    assert not limits.suffice({"checker"}, items=11, amount=0)


def test_what_changes_between_approval_and_start_is_not_begun(bank: RunBank) -> None:
    run = submitted(bank, 1)
    bank.runs.approve(run, who=CHECKER, note="fine")
    with bank.store.transaction() as work:
        work.run_items.change(work.run_items.get((run, 2)), certificate=2)

    with pytest.raises(RunRefusedError) as caught:
        bank.runs.start(run, who=MAKER, why="go")

    assert caught.value.reason.code is RunReason.MANIFEST_CHANGED


def test_the_api_and_the_console_hold_the_bank_s_limits(bank: RunBank) -> None:
    run = submitted(bank, 1, 2, 3)
    staff = Staff(bank.store)
    for name in (CHECKER, SECOND):
        staff.add(name, (StaffRole.CHECKER,), who="root", why="the test's")
        staff.set_password(name, PASSWORD)
    renderer = MessageRenderer(sample_bank())
    app = console_app(bank.store, bank.policies, renderer=renderer, limits=TWO_ITEMS)

    with ExitStack() as closing:
        port = closing.enter_context(listening(app, "127.0.0.1", 0))
        api = closing.enter_context(
            httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=60)
        )
        tokens = []
        for name in (CHECKER, SECOND):
            body = {"name": name, "password": PASSWORD}
            tokens.append(api.post("/sessions", json=body).raise_for_status().json()["token"])
        answers = [
            api.post(
                f"/runs/{run}/approval",
                json={"why": "looked at it"},
                headers={"Authorization": f"Bearer {token}"},
            )
            for token in (tokens[0], tokens[0], tokens[1])
        ]

    assert [answer.status_code for answer in answers] == [200, 409, 200]
    assert [answers[0].json()["state"], answers[2].json()["state"]] == [
        "awaiting approval",
        "approved",
    ]


def test_the_command_holds_the_limits_of_the_bank_s_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = iter(("lin", "lin", "chen", "chen", "huang"))
    monkeypatch.setattr("xuqi.cli.commands.run.operator", lambda: next(people))
    with sample.opened(tmp_path / "home") as bank:
        bank.browser()
        own = bank.home / "bank"
        bank.run("bank", "init")
        (own / "approvals.toml").write_text("[alone.checker]\nitems = 0\namount = 0\n")
        bank.json("run", "plan", "--product", "securities-browser")
        bank.json("run", "submit", "1", "--why", "the autumn run")
        first = bank.run("run", "approve", "1", "--note", "fine")
        same = bank.run("run", "approve", "1", "--note", "fine")
        second = bank.run("run", "approve", "1", "--note", "fine")

    assert "a second is needed" in first.output
    assert (same.exit_code, "another person" in same.output) == (1, True)
    assert "approved, for 24 hours" in second.output


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[alone.teller]\nitems = 1\namount = 1\n", "alone.teller: is no role"),
        ("[alone.administrator]\nitems = 1\namount = 1\n", "alone.checker: is missing"),
        ("[alone.checker]\nitems = -1\namount = 1\n", "alone"),
        ("[alone.checker]\nitems = 1\n", "amount"),
        ("alone = [", "no TOML"),
    ],
)
def test_limits_that_cannot_be_used_are_refused_with_the_key(
    tmp_path: Path, text: str, says: str
) -> None:
    (tmp_path / "approvals.toml").write_text(text)

    with pytest.raises(ApprovalLimitsError, match=says):
        read_limits(tmp_path)
