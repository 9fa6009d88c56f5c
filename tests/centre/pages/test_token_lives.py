"""People renew certificates on a token and on a card, at the centre and at the branch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.centre.pages.branch import BranchScreen, branch_screen
from tests.centre.pages.conftest import PASSWORD, code_sent, keep_shot, log_in
from tests.scenario.sample import CARD, TOKEN, TOKEN_SERIALS
from tests.scenario.tokens import PIN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext, Page

    from tests.centre.pages.conftest import Desk

RELEASE = "Release2026"


@pytest.fixture
def branch(desk: Desk) -> Iterator[BranchScreen]:
    with branch_screen(desk.world, TOKEN, CARD) as screen:
        yield screen


def agree_and_ask(page: Page) -> None:
    page.get_by_label("我已閱讀並同意上述內容").check()
    page.get_by_role("button", name="申請更新").click()


def written_at(branch: BranchScreen, context: BrowserContext, serial: str) -> None:
    """What clerk and customer do at the branch."""
    counter = context.new_page()
    branch.log_in(counter)
    counter.goto(f"{branch.url}/find?serial={serial}")
    counter.locator("#pin").fill(PIN)
    counter.get_by_role("button", name="確定").click()
    expect(counter.get_by_role("heading", name="憑證下載成功")).to_be_visible()
    counter.close()


@pytest.mark.shows("A03", "A06", "A08", "A09", "A10", "A11", "A12")
def test_a_company_pays_releases_and_finds_both_certificates_on_its_token(
    page: Page, desk: Desk, branch: BranchScreen, context: BrowserContext
) -> None:
    log_in(page, TOKEN)
    page.get_by_role("link", name="線上繳費", exact=True).click()
    page.get_by_role("button", name="繳納 NT$900").click()
    desk.until("SELECT state FROM payments", [("paid",)])
    page.goto("/token/renew")
    page.get_by_role("table").get_by_role("link", name="更新").click()
    expect(page.get_by_role("heading", name="確認更新資訊")).to_be_visible()
    keep_shot(page, "token-confirm")
    page.get_by_role("link", name="資料正確，下一步").click()

    code = code_sent(page, desk)  # the release password is set first
    page.get_by_label("6 位數驗證碼").fill(code)
    page.get_by_label("放行密碼", exact=True).fill(RELEASE)
    page.get_by_label("再輸入一次").fill(RELEASE)
    keep_shot(page, "token-release")
    page.get_by_role("button", name="設定放行密碼").click()
    page.get_by_role("button", name="用螢幕鍵盤輸入…").click()
    type_on_the_pad(page, RELEASE)
    expect(page.get_by_text(f"已輸入 {len(RELEASE)} 碼")).to_be_visible()
    keep_shot(page, "token-keypad")
    page.get_by_role("button", name="確定").click()
    agree_and_ask(page)
    expect(page.get_by_role("heading", name="請務必把新憑證下載到載具")).to_be_visible()
    keep_shot(page, "token-submitted")
    assert [line["op"] for line in desk.world.outside("ca")].count("issue") == 3  # none of it yet

    written_at(branch, context, TOKEN_SERIALS[TOKEN])

    expect(page.get_by_role("heading", name="新憑證已下載至載具")).to_be_visible()
    expect(page.get_by_text("憑證識別碼")).to_be_visible()
    expect(page.get_by_text("2027-03-20")).to_be_visible()
    keep_shot(page, "token-download")
    page.get_by_role("link", name="查詢載具內容").click()
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(2)
    assert {row.inner_text().split()[0] for row in rows.all()} == {TOKEN_SERIALS[TOKEN]}
    ends = [row.locator("time").nth(1).inner_text() for row in rows.all()]
    assert [end[:10] for end in ends] == ["2026-03-20", "2027-03-20"]
    keep_shot(page, "token-content")
    agreed = desk.world.rows("SELECT product, version FROM agreements")
    assert agreed == [("corporate-token", "2026-07")]


def type_on_the_pad(page: Page, text: str) -> None:
    shift = page.get_by_role("button", name="切換大寫")
    for sign in text:
        if sign.isupper():
            shift.click()
        page.locator(f'#keys [data-key="{sign.lower()}"]').click()
        if sign.isupper():
            shift.click()


@pytest.mark.shows("A09")
def test_a_wrong_release_password_begins_nothing(page: Page, desk: Desk) -> None:
    desk.world.paid()
    desk.release_password(TOKEN, RELEASE)
    log_in(page, TOKEN)
    page.goto(f"/token/terms?certificate={TOKEN}")
    page.locator("#release").fill(PASSWORD[:16])

    agree_and_ask(page)

    expect(page.get_by_role("heading", name="放行密碼不正確")).to_be_visible()
    assert desk.world.rows("SELECT count(*) FROM renewals") == [(0,)]


@pytest.mark.shows("C04", "C06", "C07", "A11")
def test_a_card_goes_through_its_four_stages_and_is_renewed_at_the_branch(
    page: Page, desk: Desk, branch: BranchScreen, context: BrowserContext
) -> None:
    log_in(page, CARD)
    page.goto("/token/renew")
    page.get_by_role("table").get_by_role("link", name="更新").click()
    stages = page.get_by_role("list", name="步驟").locator("li")
    names = ["選擇更新清單", "確認更新資訊", "更新約定條款", "更新送審結果"]
    expect(page.get_by_role("heading", name="確認更新資訊")).to_be_visible()
    assert [stage.inner_text().split()[0] for stage in stages.all()] == names
    expect(page.get_by_text("Common Name")).to_be_visible()
    expect(page.get_by_text("憑證晶片卡", exact=False).first).to_be_visible()
    keep_shot(page, "card-confirm")
    page.get_by_role("link", name="資料正確，下一步").click()
    page.get_by_role("button", name="申請更新").click()
    expect(page.get_by_role("heading", name="請先勾選同意書")).to_be_visible()
    assert desk.world.rows("SELECT count(*) FROM renewals") == [(0,)]
    agree_and_ask(page)
    expect(page.get_by_role("heading", name="請務必把新憑證下載到載具")).to_be_visible()

    written_at(branch, context, TOKEN_SERIALS[CARD])

    expect(page.get_by_role("heading", name="新憑證已下載至載具")).to_be_visible()
    desk.until("SELECT state, fee_state FROM renewals", [("done", "captured")])


def test_what_was_submitted_can_be_called_off_while_nobody_has_begun(
    page: Page, desk: Desk
) -> None:
    log_in(page, CARD)
    page.goto(f"/token/terms?certificate={CARD}")
    agree_and_ask(page)

    page.get_by_role("button", name="取消這次更新").click()

    page.wait_for_url("/")
    assert desk.world.rows("SELECT state FROM renewals") == [("abandoned",)]
