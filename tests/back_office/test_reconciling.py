"""What a reconciliation finds is kept, is somebody's, and has a door to its next step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from back_office.console.app import console_app
from back_office.reconciling import (
    ReconciledDifference,
    Reconciling,
    door_of,
    owner_of,
)
from back_office.staff import Staff, StaffRole
from renewal.errors import NotNowError
from renewal.store import audit
from renewal.store import reconciliations as queries
from schema.reasons import ReconcileReason
from templates.codes import LANGUAGES, remedy
from tests.scenario.sample import CARD
from xuqi.reconcile import comparisons
from xuqi.serving.http import listening

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from tests.scenario.scenario import Scenario

PASSWORD = "a clerk's very long password"  # noqa: S105 - of a clerk in a story


def reconciling(world: Scenario) -> Reconciling:
    return Reconciling(world.app.store, comparisons(lambda: world.app))


def never_held(world: Scenario) -> str:
    """A renewal whose fee is held in our books, and not at the bank."""
    renewal = world.requested(CARD)
    with world.app.store.transaction() as work:
        work.renewals.change(work.renewals.get(renewal.id), fee_state="held")
    return renewal.id


def test_each_difference_is_kept_with_the_page_of_its_next_step(world: Scenario) -> None:
    renewal = never_held(world)
    one = reconciling(world)

    found = list(one.carry_out(one.begin(who="lin")))

    with world.app.store.snapshot() as look:
        (last,) = queries.newest(look)
        (kept,) = queries.kept(look, last.id, at_most=10)
        door = door_of(look, kept)
        certificate = look.renewals.get(renewal).certificate
        trail = [(row["who"], row["did"]) for row in audit.entries(look)]
    assert (kept.code, kept.item) == (ReconcileReason.BANK_DID_LESS, f"{renewal}/hold")
    assert [last.found, last.compared] == [len(found), "bank ca carrier token"]
    assert last.ended_at is not None
    assert door == f"/certificates/{certificate}"
    assert ("lin", "reconcile") in trail


def test_every_difference_is_somebodys_and_has_a_next_step_in_both_languages() -> None:
    for code in ReconcileReason:
        assert owner_of(code) in StaffRole
        assert all(remedy(code.why(), language) for language in LANGUAGES), code


def test_two_do_not_reconcile_at_the_same_time(world: Scenario) -> None:
    one = reconciling(world)
    begun = one.begin(who="lin")

    with pytest.raises(NotNowError):
        one.begin(who="chen")

    assert one.is_under_way()
    list(one.carry_out(begun))
    assert not one.is_under_way()
    list(one.carry_out(one.begin(who="chen")))


def test_one_that_is_cut_off_keeps_what_it_found_and_another_can_begin(world: Scenario) -> None:
    def dies() -> Iterator[ReconciledDifference]:
        raise KeyboardInterrupt
        yield

    def finds() -> Iterator[ReconciledDifference]:
        yield ReconciledDifference(side="bank", code=ReconcileReason.BANK_DID_LESS, key="R1/hold")

    one = Reconciling(world.app.store, {"bank": finds, "ca": dies})
    with pytest.raises(KeyboardInterrupt):
        list(one.carry_out(one.begin(who="lin")))

    with world.app.store.snapshot() as look:
        (last,) = queries.newest(look)
    assert (last.found, last.compared, last.ended_at) == (1, "bank", None)
    assert not one.is_under_way()


def test_a_token_that_was_last_read_with_another_certificate_is_found(world: Scenario) -> None:
    renewal = world.requested(CARD)
    world.at_the_branch(world.station(CARD))
    before = reconciling_all(world)
    with world.app.store.transaction() as work:
        row = work.renewals.get(renewal.id)
        new = work.certificates.get(row.new_certificate or 0)
        work.certificates.change(new, state="superseded")
    with world.app.store.transaction() as work:
        old = work.certificates.get(row.certificate)
        work.certificates.change(old, state="active")

    found = [(one.code, one.key) for one in reconciling_all(world) if one.side == "token"]

    assert new.state == "active"
    assert before == []
    assert (ReconcileReason.TOKEN_HOLDS_ANOTHER, str(old.id)) in found


def reconciling_all(world: Scenario) -> list[ReconciledDifference]:
    one = reconciling(world)
    return list(one.carry_out(one.begin(who="lin")))


@pytest.mark.slow
def test_a_clerk_reconciles_on_the_page_and_goes_to_the_next_step(
    world: Scenario, chromium: Browser
) -> None:
    renewal, app = never_held(world), world.app
    staff = Staff(app.store)
    staff.add("lin", (StaffRole.OPERATOR,), who="root", why="the test's")
    staff.set_password("lin", PASSWORD)
    pages = console_app(
        app.store, app.policies, renderer=app.renderer, comparisons=comparisons(lambda: app)
    )
    with listening(pages, "127.0.0.1", 0) as port:
        context = chromium.new_context(base_url=f"http://127.0.0.1:{port}", locale="zh-TW")
        context.set_default_timeout(60_000)
        page = context.new_page()
        page.goto("/login")
        page.locator("[name=name]").fill("lin")
        page.locator("[name=password]").fill(PASSWORD)
        page.locator("main button").click()
        page.get_by_role("link", name="對帳", exact=True).first.click()
        page.get_by_role("button", name="開始對帳").click()
        row = page.get_by_role("row").filter(has_text=f"{renewal}/hold")
        expect(row).to_be_visible(timeout=60_000)
        expect(row).to_contain_text("作業")
        barriers = Axe().run(page).response["violations"]
        row.get_by_role("link").click()
        expect(page.get_by_text(renewal).first).to_be_visible()
        page.goto("/")
        expect(page.get_by_text("1 筆差異")).to_be_visible(timeout=60_000)
        context.close()

    assert barriers == []
