"""The other things that customers do at the pages: revoke, suspend, pay, see what has happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.centre.pages.conftest import code_sent, keep_shot, log_in
from tests.scenario.rows import account_of
from tests.scenario.sample import BROWSER, CARD, TOKEN

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.centre.pages.conftest import Desk


@pytest.mark.shows("B17")
def test_a_customer_revokes_after_a_code_and_an_express_yes(page: Page, desk: Desk) -> None:
    log_in(page)
    page.goto(f"/revoke?certificate={BROWSER}")
    code = code_sent(page, desk)
    page.get_by_label("4 位數驗證碼").fill(f" {code[:2]}-{code[2:]}")
    page.get_by_role("button", name="註銷憑證…").click()
    expect(page.get_by_role("button", name="否，保留憑證")).to_be_focused()
    keep_shot(page, "revoke-confirm")

    page.get_by_role("button", name="是，註銷憑證").click()

    expect(page.get_by_role("heading", name="已受理註銷")).to_be_visible()
    desk.becomes(BROWSER, "revoked")


@pytest.mark.shows("B17")
def test_who_says_no_keeps_the_certificate(page: Page, desk: Desk) -> None:
    log_in(page)
    page.goto(f"/revoke?certificate={BROWSER}")
    page.get_by_label("4 位數驗證碼").or_(page.locator("body")).first.wait_for()
    code = code_sent(page, desk)
    page.get_by_label("4 位數驗證碼").fill(code)
    page.get_by_role("button", name="註銷憑證…").click()

    page.get_by_role("button", name="否，保留憑證").click()

    expect(page.get_by_role("dialog")).to_be_hidden()
    assert desk.world.certificate(BROWSER).state == "active"


@pytest.mark.shows("A15")
def test_a_company_pays_online_and_sees_what_became_of_it(page: Page, desk: Desk) -> None:
    log_in(page, TOKEN)
    expect(page.get_by_role("heading", name="請先繳費")).to_be_visible()
    page.get_by_role("link", name="線上繳費", exact=True).click()
    expect(page.get_by_text(account_of(TOKEN)[-4:])).to_be_visible()
    keep_shot(page, "corp-pay")
    page.get_by_role("button", name="繳納 NT$900").click()
    expect(page.get_by_role("heading", name="繳費紀錄")).to_be_visible()
    desk.until("SELECT state FROM payments", [("paid",)])
    page.get_by_role("link", name="重新查詢").click()
    expect(page.get_by_text("可以辦理更新")).to_be_visible()
    keep_shot(page, "corp-payments")
    expect(page.get_by_role("link", name="辦理更新")).to_be_visible()


@pytest.mark.shows("A15")
def test_a_card_is_suspended_by_its_customer_after_a_code(page: Page, desk: Desk) -> None:
    log_in(page, CARD)
    page.goto(f"/suspend?certificate={CARD}")
    code = code_sent(page, desk)
    page.get_by_label("6 位數驗證碼").fill(code)
    page.get_by_role("button", name="暫禁憑證…").click()

    page.get_by_role("button", name="是，暫禁憑證").click()

    expect(page.get_by_role("heading", name="已受理暫禁")).to_be_visible()
    desk.becomes(CARD, "suspended")
    desk.until("SELECT count(*) FROM decisions WHERE about = 'CA' AND what = 'suspended'", [(1,)])
    page.goto("/history")
    expect(page.get_by_text("憑證已暫禁")).to_be_visible()
    keep_shot(page, "history")


def test_nobody_sees_what_is_somebody_elses(page: Page, desk: Desk) -> None:
    renewal = desk.world.requested(CARD)
    log_in(page)

    for address in (
        f"/renew/{renewal.id}",
        f"/revoke?certificate={CARD}",
        f"/pay?certificate={TOKEN}",
    ):
        response = page.goto(address)

        assert response is not None
        assert response.status == 404, address
