"""Customers log in, set their first password by a code, and are signed out after ten minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from centre.accounts import Accounts
from tests.centre.pages.conftest import PASSWORD, keep_shot, log_in
from tests.scenario.sample import CARD

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.centre.pages.conftest import Desk


@pytest.mark.shows("A04")
def test_a_customer_logs_in_and_sees_the_certificate_to_the_second(page: Page) -> None:
    log_in(page)

    expect(page.get_by_role("heading", name="憑證再 18 天到期，請更新")).to_be_visible()
    assert "2026-03-20 23:59:59" in page.inner_text("main")
    assert "2026-02-18 23:59:59" in page.inner_text("main")
    keep_shot(page, "home")


@pytest.mark.shows("C02")
def test_who_asks_decides_who_may_renew(page: Page, desk: Desk) -> None:
    accounts = Accounts(desk.world.app.store)
    accounts.add(
        CARD, "clerk7", customer_class=3, operator="user", who="王小美", why="a new colleague"
    )
    accounts.set_password(CARD, "clerk7", PASSWORD)
    log_in(page, CARD, "clerk7")
    page.get_by_role("link", name="更新憑證").click()
    page.get_by_role("link", name="資料正確，下一步").click()
    page.get_by_label("我已閱讀並同意上述內容").check()

    page.get_by_role("button", name="申請更新").click()

    expect(page.get_by_role("heading", name="這個使用者代號沒有更新權限")).to_be_visible()
    assert desk.world.rows("SELECT count(*) FROM renewals") == [(0,)]
