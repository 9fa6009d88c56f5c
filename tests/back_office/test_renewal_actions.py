"""A renewal that waits is moved to another branch, or declined in its customer's name."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from back_office.renewal_actions import RenewalActions
from back_office.runs.actions import RunActions
from back_office.runs.plan import Planner, RunTerms
from renewal.errors import NotNowError
from renewal.store import runs as run_queries
from scheduler import runs as job
from schema.reasons import RefusalReason
from schema.states import PaymentState, RenewalState, RunItemState
from tests.scenario.sample import BROWSER, CARD, TOKEN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from renewal.db.rows import RunItem
    from tests.scenario.scenario import Scenario

BY = {"who": "lin", "why": "the customer has called"}


def actions(world: Scenario, *branches: str) -> RenewalActions:
    office = dataclasses.replace(world.app.back_office, branches=frozenset(branches))
    return RenewalActions(office)


def test_a_job_goes_on_at_another_branch_with_what_was_paid(world: Scenario) -> None:
    payment = world.paid()
    before = world.requested(TOKEN)
    world.drain()

    moved = actions(world).move(before.id, "002", **BY)

    world.drain()
    with world.app.store.snapshot() as look:
        paid = look.payments.get(payment.id)
    assert (world.renewal(before.id).state, moved.branch) == (RenewalState.ABANDONED, "002")
    assert (paid.state, paid.renewal) == (PaymentState.RESERVED, moved.id)
    world.at_the_branch(world.station(TOKEN, branch="001"), rounds=1)
    assert world.renewal(moved.id).state == RenewalState.REQUESTED
    world.at_the_branch(world.station(TOKEN, branch="002"))
    assert world.renewal(moved.id).state == RenewalState.DONE


@pytest.mark.parametrize(
    ("branch", "reason"),
    [("001", RefusalReason.NO_OTHER_BRANCH), ("999", RefusalReason.UNKNOWN_BRANCH)],
)
def test_it_is_not_moved_to_nowhere(world: Scenario, branch: str, reason: RefusalReason) -> None:
    renewal = world.requested(CARD)

    with pytest.raises(NotNowError) as refused:
        actions(world, "001", "002").move(renewal.id, branch, **BY)

    assert refused.value.reason.code is reason
    assert world.renewal(renewal.id).state == RenewalState.REQUESTED


@pytest.mark.parametrize("branch", ["", "0" * 17])
def test_where_no_branches_are_set_a_branch_is_still_one(world: Scenario, branch: str) -> None:
    renewal = world.requested(CARD)

    with pytest.raises(NotNowError) as refused:
        actions(world).move(renewal.id, branch, **BY)

    assert refused.value.reason.code is RefusalReason.UNKNOWN_BRANCH


def test_what_is_not_made_at_a_branch_is_not_moved(world: Scenario) -> None:
    renewal = world.requested(BROWSER)

    with pytest.raises(NotNowError):
        actions(world).move(renewal.id, "002", **BY)


def test_what_can_be_renewed_no_more_stays_where_it_is(world: Scenario) -> None:
    renewal = world.requested(CARD)
    with world.app.store.transaction() as work:
        work.certificates.change(work.certificates.get(CARD), state="suspended")

    with pytest.raises(NotNowError):
        actions(world).move(renewal.id, "002", **BY)

    assert world.renewal(renewal.id).state == RenewalState.REQUESTED


def test_a_customer_who_does_not_want_it_is_declined_by_staff(world: Scenario) -> None:
    renewal, _ = world.issued()

    actions(world).decline(renewal.id, **BY)

    world.drain()
    assert world.renewal(renewal.id).state == RenewalState.ABANDONED
    assert world.renewal(renewal.id).why == "declined_by_customer"
    with pytest.raises(NotNowError):
        actions(world).decline(renewal.id, **BY)


def test_the_item_of_a_bulk_run_goes_with_it_to_one_bucket(world: Scenario) -> None:
    store, policies = world.app.store, world.app.policies
    runs, listed = RunActions(store, policies), world.home / "list.csv"
    listed.write_text(f"certificate,branch\n{CARD},001\n", encoding="utf-8")
    planner = Planner(store, policies, branches=("001", "002"))
    run = planner.from_file(listed, RunTerms(name="autumn", canary=0), who="lin").id
    runs.submit(run, who="lin", why="the autumn run")
    runs.approve(run, who="chen", note="seen")
    runs.start(run, who="lin", why="go")
    world.wait(minutes=1)
    job.advance(store, policies)
    world.drain()
    (begun,) = items(world, run)

    moved = actions(world).move(str(begun.renewal), "002", **BY)

    world.drain()
    (waits,) = items(world, run)
    assert (waits.renewal, waits.state) == (moved.id, RunItemState.HANDED_ON)
    world.at_the_branch(world.station(CARD, branch="002"))
    world.drain()
    assert [one.state for one in items(world, run)] == [RunItemState.RENEWED]


def items(world: Scenario, run: int) -> Sequence[RunItem]:
    with world.app.store.snapshot() as look:
        return run_queries.items(look, run)
