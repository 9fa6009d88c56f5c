"""F6, F7, f03, m15: no state is a dead end: a person can settle what no machine can."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from renewal.errors import NotNowError
from renewal.gateways.bank.port import Operation
from renewal.store.tasks import listed
from schema.events import Change
from schema.states import FeeState, OldState, TaskState
from tests.found.test_finding_people import xuqi
from tests.scenario.rows import BRANCH, id_number_of
from tests.scenario.sample import BROWSER, CARD

if TYPE_CHECKING:
    from renewal.db.rows import Renewal, Task
    from tests.scenario.scenario import Scenario

WHO, WHY = "teller 7", "as the CA has confirmed by letter"
ELSEWHERE = b"the name of another CA".ljust(32)


def of_another_ca(world: Scenario, certificate: int) -> None:
    with world.app.store.transaction() as work:
        row = work.certificates.get(certificate)
        work.certificates.change(row, issuer_hash=ELSEWHERE)


def tasks(world: Scenario) -> list[Task]:
    with world.app.store.snapshot() as look:
        return list(listed(look, state=None))


def renewed(world: Scenario) -> Renewal:
    """A renewal in the browser, up to its end."""
    renewal, key = world.issued()
    world.app.centre.collect(renewal.id)
    world.app.centre.prove(renewal.id, key.sign(renewal.challenge))
    world.drain()
    return world.renewal(renewal.id)


def card_with_a_capture_that_is_refused(world: Scenario) -> Renewal:
    world.weather.bank = lambda booking: "refused" if booking.op is Operation.CAPTURE else None
    renewal = world.requested(CARD)
    world.at_the_branch(world.station(CARD))
    return world.renewal(renewal.id)


# --- certificates of another CA -----------------------------------------------------------------


def test_a_renewal_is_done_though_another_ca_must_revoke_the_old_one(world: Scenario) -> None:
    of_another_ca(world, BROWSER)

    now = renewed(world)

    assert (now.state, now.old_state) == ("done", "kept")
    [task] = tasks(world)
    assert (task.certificate, task.change, task.state) == (BROWSER, "revoke", TaskState.OPEN)
    assert world.dead() == []


def test_what_was_done_at_that_ca_is_on_record_with_who_and_why(world: Scenario) -> None:
    of_another_ca(world, BROWSER)
    renewed(world)
    [task] = tasks(world)

    world.app.back_office.end_task(task.id, who=WHO, why=WHY)

    [task] = tasks(world)
    assert (task.state, task.ended_by, task.why) == ("done", WHO, WHY)
    assert world.certificate(BROWSER).state == "revoked"
    assert world.rows("SELECT who, did, object FROM audit") == [
        ("teller 7", "task done", f"task {task.id}")
    ]


@pytest.mark.parametrize(
    ("change", "state"), [(Change.SUSPEND, "suspended"), (Change.REVOKE, "revoked")]
)
def test_a_lost_token_of_another_ca_becomes_a_task_and_not_a_dead_letter(
    world: Scenario, change: Change, state: str
) -> None:
    of_another_ca(world, CARD)

    world.app.back_office.ask_change(CARD, change, who=WHO, why=WHY)
    world.drain()

    [task] = tasks(world)
    before = "suspended" if change is Change.SUSPEND else "active"  # that is ours to do, at once
    assert (world.certificate(CARD).state, world.dead()) == (before, [])
    world.app.back_office.end_task(task.id, who=WHO, why=WHY)
    world.drain()
    assert world.certificate(CARD).state == state
    assert len(world.outside("mail")) == 1  # its holder is told


def test_what_is_asked_twice_is_one_task(world: Scenario) -> None:
    of_another_ca(world, CARD)

    for _ in range(2):
        world.app.back_office.ask_change(CARD, Change.SUSPEND, who=WHO, why=WHY)
        world.drain()

    assert len(tasks(world)) == 1


def test_a_task_that_is_not_needed_leaves_the_certificate_as_it_is(world: Scenario) -> None:
    of_another_ca(world, CARD)
    world.app.back_office.ask_change(CARD, Change.SUSPEND, who=WHO, why=WHY)
    world.drain()
    [task] = tasks(world)

    world.app.back_office.end_task(task.id, who=WHO, why=WHY, needed=False)

    assert world.certificate(CARD).state == "suspended"  # until somebody lifts it
    with pytest.raises(NotNowError, match="task_ended"):
        world.app.back_office.end_task(task.id, who=WHO, why=WHY)


def test_a_task_keeps_no_certificate_of_our_own_ca_waiting(world: Scenario) -> None:
    of_another_ca(world, CARD)

    world.app.back_office.ask_change(CARD, Change.SUSPEND, who=WHO, why=WHY)
    world.app.back_office.ask_change(BROWSER, Change.SUSPEND, who=WHO, why=WHY)
    world.drain()

    assert world.certificate(BROWSER).state == "suspended"
    assert world.status_at_ca(BROWSER) == "on hold"


def test_what_waits_for_people_stands_in_the_status(world: Scenario) -> None:
    of_another_ca(world, CARD)
    world.app.back_office.ask_change(CARD, Change.REVOKE, who=WHO, why=WHY)
    world.drain()

    _, said = xuqi(world, "status")

    assert "xuqi tasks list" in said
    _, listed_now = xuqi(world, "tasks", "list")
    assert str(CARD) in listed_now


# --- what the bank refuses for good -------------------------------------------------------------


@pytest.mark.parametrize("fee", [FeeState.CAPTURED, FeeState.WAIVED])
def test_a_capture_that_the_bank_refuses_for_good_is_settled_by_hand(
    world: Scenario, fee: FeeState
) -> None:
    renewal = card_with_a_capture_that_is_refused(world)
    assert (renewal.state, renewal.fee_state) == ("activated", "held")

    world.app.back_office.settle_fee(renewal.id, fee, who=WHO, why=WHY)
    world.drain()

    now = world.renewal(renewal.id)
    assert (now.state, now.fee_state) == ("done", fee)
    assert world.rows("SELECT state FROM dead_letters") == [("closed",)]
    assert world.rows("SELECT who, did FROM audit") == [(WHO, f"settle fee: {fee.value}")]


def test_while_the_machine_is_at_it_nothing_is_settled_by_hand(world: Scenario) -> None:
    renewal, _ = world.issued()

    with pytest.raises(NotNowError, match="machine_still_at_it"):
        world.app.back_office.settle_fee(renewal.id, FeeState.CAPTURED, who=WHO, why=WHY)
    with pytest.raises(NotNowError, match="machine_still_at_it"):
        world.app.back_office.settle_old(renewal.id, OldState.REVOKED, who=WHO, why=WHY)


def test_a_fee_becomes_only_what_it_can(world: Scenario) -> None:
    renewal = card_with_a_capture_that_is_refused(world)

    with pytest.raises(NotNowError, match="fee_cannot_become"):
        world.app.back_office.settle_fee(renewal.id, FeeState.VOIDED, who=WHO, why=WHY)

    assert world.renewal(renewal.id).fee_state == "held"


# --- F7 -----------------------------------------------------------------------------------------


def test_a_branch_that_there_is_not_gets_no_job(world: Scenario) -> None:
    office = replace(world.app.back_office, branches=frozenset({BRANCH}))

    with pytest.raises(NotNowError, match="branch_unknown"):
        office.start(CARD, branch="777", who=WHO, why=WHY)
    with pytest.raises(NotNowError, match="branch_missing"):
        office.start(CARD, branch=None, who=WHO, why=WHY)

    assert world.rows("SELECT count(*) FROM renewals") == [(0,)]


def test_a_renewal_that_waits_at_a_branch_is_ended_and_begun_again(world: Scenario) -> None:
    office = world.app.back_office
    first = world.requested(CARD)

    office.end(first.id, who=WHO, why=WHY)
    world.drain()
    again = world.requested(CARD)

    assert world.renewal(first.id).state == "refused"
    assert again.id != first.id
    assert id_number_of(CARD) not in str(world.decisions(CARD, "renewal"))
    assert timedelta(0) <= world.renewal(again.id).requested_at - first.requested_at
