"""Every page is readable without JavaScript, and what needs no key is done without it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.sync_api import expect

from centre.pages.log_in import ANSWERED_AFTER
from tests.centre.pages.conftest import USER_CODE, code_sent, log_in
from tests.scenario.rows import id_number_of
from tests.scenario.sample import BROWSER, CARD, TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from tests.centre.pages.conftest import Desk

NEW_PASSWORD = "another long password"  # noqa: S105 - of a customer in a story


@pytest.fixture
def plain(chromium: Browser, desk: Desk) -> Iterator[Page]:
    """A page of a browser whose JavaScript is off."""
    context = chromium.new_context(base_url=desk.url, locale="zh-TW", java_script_enabled=False)
    context.set_default_timeout(15_000)
    page = context.new_page()
    desk.watch(page)
    yield page
    context.close()


@pytest.mark.shows("A04", "A15")
def test_a_password_is_set_by_a_code_and_a_card_is_suspended(plain: Page, desk: Desk) -> None:
    plain.goto("/password")
    plain.get_by_label("身分證字號或統一編號").fill(id_number_of(CARD))
    plain.get_by_label("使用者代號").fill(USER_CODE)
    before = len(desk.world.outside("sms"))
    plain.get_by_role("button", name="取得驗證碼").click()
    desk.texted_after(before)
    plain.get_by_label("6 位數驗證碼").fill(desk.code())
    plain.locator("#first").fill(NEW_PASSWORD)
    plain.locator("#again").fill(NEW_PASSWORD)
    plain.get_by_role("button", name="設定密碼").click()
    log_in(plain, CARD, password=NEW_PASSWORD)
    [cookie] = plain.context.cookies()

    plain.goto(f"/suspend?certificate={CARD}")
    code = code_sent(plain, desk)
    plain.get_by_label("6 位數驗證碼").fill(code)
    plain.get_by_label("是，我確定").check()
    plain.get_by_role("button", name="暫禁憑證…").click()

    expect(plain.get_by_role("heading", name="已受理暫禁")).to_be_visible()
    [after] = plain.context.cookies()
    assert after["value"] != cookie["value"]  # a new session id after a code
    stolen = httpx.get(f"{desk.url}/", cookies={cookie["name"]: cookie["value"]})
    assert stolen.headers["location"] == "/login"


def test_a_company_pays_and_asks_and_calls_it_off(plain: Page, desk: Desk) -> None:
    desk.release_password(TOKEN, "Release2026")
    log_in(plain, TOKEN)
    plain.get_by_role("link", name="線上繳費", exact=True).click()
    plain.get_by_role("button", name="繳納 NT$900").click()
    desk.until("SELECT state FROM payments", [("paid",)])
    plain.goto(f"/token/terms?certificate={TOKEN}")
    plain.locator("#release").fill("Release2026")
    plain.get_by_label("我已閱讀並同意上述內容").check()
    plain.get_by_role("button", name="申請更新").click()
    expect(plain.get_by_role("heading", name="更新進度")).to_be_visible()

    plain.get_by_role("button", name="取消這次更新").click()

    plain.wait_for_url("/")
    assert desk.world.rows("SELECT state FROM renewals") == [("abandoned",)]
    assert desk.world.rows("SELECT state FROM payments") == [("paid",)]


def test_pages_of_keys_say_that_they_need_javascript(plain: Page) -> None:
    log_in(plain, BROWSER)

    for address in ("/", "/environment", "/import", "/export"):
        plain.goto(address)
        expect(plain.get_by_role("heading", level=1)).to_be_visible()
        if address != "/export":
            assert "沒有開啟 JavaScript" in plain.inner_html("noscript")


def test_the_time_does_not_say_whether_a_number_is_known(desk: Desk) -> None:
    taken = []
    with httpx.Client(base_url=desk.url) as client:
        for number in (id_number_of(CARD), "Z999999999"):
            began = time.monotonic()
            asked = {"id_number": number, "user_code": USER_CODE}
            answer = client.post("/password", data=asked, headers={"Origin": desk.url})
            taken.append(time.monotonic() - began)

            assert answer.headers["location"] == "/password/new"
            client.cookies.clear()

    assert min(taken) >= ANSWERED_AFTER
