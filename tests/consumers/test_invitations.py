"""The customer of a bulk run is told once by the run, and reminded in time if nothing happens."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from back_office.runs.actions import RunActions
from back_office.runs.plan import Planner, RunTerms
from renewal.errors import GatewayRefusedError
from renewal.gateways.mail.mailbox import LocalMail
from scheduler import jobs
from scheduler import runs as run_job
from simulation.client import BrowserKey
from tests.scenario.rows import BRANCH, mail_of
from tests.scenario.sample import BROWSER, CARD
from xuqi.check import run_checks

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from renewal.db.rows import Run
    from tests.scenario.scenario import Scenario

MAKER, CHECKER = "lin", "chen"


def begin_run(world: Scenario, folder: Path, *certificates: int) -> Run:
    """Plan, approve and start a run of these certificates, and let it begin them."""
    app, path = world.app, folder / "list.csv"
    rows = [f"{number},{BRANCH if number == CARD else ''}" for number in certificates]
    path.write_text("\n".join(["certificate,branch", *rows]))
    terms = RunTerms(name="spring", per_minute=6_000, canary=0)
    actions = RunActions(app.store, app.policies)
    run = Planner(app.store, app.policies, (BRANCH,)).from_file(path, terms, who=MAKER)
    actions.submit(run.id, who=MAKER, why="spring")
    actions.approve(run.id, who=CHECKER, note="seen")
    run = actions.start(run.id, who=MAKER, why="go")
    world.wait(seconds=30)
    run_job.advance(app.store, app.policies)
    return run


def live(world: Scenario, days: float) -> None:
    """Let the scheduler and the consumers do what there is to do, every six hours."""
    app, until = world.app, world.clock.now() + timedelta(days=days)
    while world.clock.now() < until:
        jobs.remind(app.store, app.policies)
        jobs.tend(app.store, app.policies)
        run_job.advance(app.store, app.policies)
        world.drain()
        world.wait(hours=6)


def told(world: Scenario, customer: int) -> list[tuple[str, str]]:
    return [
        (kind, channel)
        for kind, channel in world.rows(
            "SELECT kind, channel FROM messages WHERE customer = :c AND handed_at IS NOT NULL "
            "ORDER BY handed_at, id",
            c=customer,
        )
    ]


def thresholds(world: Scenario, certificate: int) -> list[int]:
    return [
        step
        for (step,) in world.rows(
            "SELECT threshold FROM told WHERE certificate = :c ORDER BY threshold DESC",
            c=certificate,
        )
    ]


def test_the_customer_of_a_run_is_told_once_and_then_reminded_in_time(
    world: Scenario, tmp_path: Path
) -> None:
    begin_run(world, tmp_path, BROWSER)
    live(world, days=3)
    by_the_run = told(world, BROWSER)

    live(world, days=9)  # until 14 March: the steps of 14 and 7 days have passed

    assert by_the_run == [("invited", "mail")]
    assert thresholds(world, BROWSER) == [14, 7]
    assert [kind for kind, _ in told(world, BROWSER)] == ["invited", "reminder", "reminder"]
    assert run_checks(world.app).counts.total() == 0


def test_who_follows_the_invitation_is_reminded_no_more(world: Scenario, tmp_path: Path) -> None:
    begin_run(world, tmp_path, BROWSER)
    live(world, days=1)
    sent, code = world.code()
    world.centre.confirm(
        "R00000001-01",
        challenge=sent.challenge,
        code=code,
        session="the customer's session",
        **world.handed_in(world.renewal("R00000001-01"), BrowserKey.new().request()),
    )

    live(world, days=6)

    assert thresholds(world, BROWSER) == []
    assert run_checks(world.app).counts["I5"] == 0


def test_an_invitation_that_nobody_follows_ends_and_the_reminders_go_on(
    world: Scenario, tmp_path: Path
) -> None:
    run = begin_run(world, tmp_path, BROWSER)

    live(world, days=15)
    items = world.rows("SELECT state, why FROM run_items")
    live(world, days=2.5)

    assert items == [("failed", "run_item_not_finished")]
    assert world.renewal("R00000001-01").state == "abandoned"
    assert world.rows("SELECT state FROM runs WHERE id = :r", r=run.id) == [("complete",)]
    assert thresholds(world, BROWSER) == [14, 7, 3, 1]
    assert run_checks(world.app).counts.total() == 0


def test_a_text_message_waits_for_the_morning(world: Scenario, tmp_path: Path) -> None:
    _without_mail(world)
    world.wait(hours=10.5)  # 20:30 in Taipei
    begin_run(world, tmp_path, BROWSER)
    world.wait(hours=1)
    world.drain()
    at_night = told(world, BROWSER)

    world.wait(hours=12)
    world.drain()

    assert at_night == []
    assert told(world, BROWSER) == [("invited", "sms")]


def test_where_mail_fails_a_text_message_tells_it(
    world: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalMail, "send", _refused)
    begin_run(world, tmp_path, BROWSER)

    live(world, days=1)

    assert told(world, BROWSER) == [("invited", "sms")]


def test_whose_token_is_needed_is_told_where_to_bring_it(world: Scenario, tmp_path: Path) -> None:
    begin_run(world, tmp_path, CARD)

    world.drain()

    (letter,) = [one for one in world.outside("mail") if one["to"] == mail_of(CARD)]
    assert f"營業單位（{BRANCH}）" in letter["body"]


def test_who_has_acted_before_the_invitation_goes_hears_nothing_of_it(
    world: Scenario, tmp_path: Path
) -> None:
    begin_run(world, tmp_path, BROWSER)
    world.centre.decline("R00000001-01")

    world.drain()

    assert "invited" not in [kind for kind, _ in told(world, BROWSER)]
    assert ("suppressed", "invitation_taken_up_or_over") in world.decisions(BROWSER, "notice")


def _refused(_self: LocalMail, _mail: object) -> str:
    raise GatewayRefusedError("no such mailbox", code="5.1.1")


def _without_mail(world: Scenario) -> None:
    with world.app.store.transaction() as work:
        row = work.customers.get(BROWSER)
        work.customers.change(row, mail_sealed=None, mail_hash=None)
