"""Every page is usable: axe finds nothing, in both languages, light and dark, at 360 px."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from centre.accounts import Accounts
from tests.centre.pages.addresses import OF_BROWSER, OF_TOKEN, OPEN
from tests.centre.pages.conftest import PASSWORD, USER_CODE, keep_shot, log_in
from tests.scenario.sample import BROWSER, CARD, PRODUCTS, TOKEN

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.centre.pages.conftest import Desk

NEWCOMER = 11  #: who has an account and no certificate
PHONE = {"width": 360, "height": 740}
DESKTOP = {"width": 1280, "height": 900}


def violations(page: Page) -> list[str]:
    told = Axe().run(page).response
    assert len(told["passes"]) > 10, "axe has not looked at the page"
    found = told["violations"]
    return [
        f"{page.url}: {one['id']}: {node['html'][:120]}" for one in found for node in one["nodes"]
    ]


def too_wide(page: Page) -> bool:
    """Whether the page must be scrolled sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth + 1"))


@pytest.mark.parametrize(
    ("language", "scheme", "size"),
    [("zh-TW", "light", DESKTOP), ("zh-TW", "dark", PHONE), ("en", "light", PHONE)],
    ids=["zh-light", "zh-dark-phone", "en-phone"],
)
def test_no_page_has_a_violation(
    chromium: Browser, desk: Desk, language: str, scheme: str, size: dict[str, int]
) -> None:
    context = chromium.new_context(
        base_url=desk.url, color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": size["width"], "height": size["height"]}, locale="zh-TW",
    )  # fmt: skip
    page = context.new_page()
    desk.watch(page)
    found: list[str] = []
    desk.release_password(TOKEN, "Release2026")  # else the terms lead to setting it
    desk.world.enrol(NEWCOMER, PRODUCTS[BROWSER])
    Accounts(desk.world.app.store).set_password(NEWCOMER, USER_CODE, PASSWORD)
    submitted = f"/token/renewals/{desk.world.requested(CARD).id}"
    visits = (
        (None, OPEN), (BROWSER, OF_BROWSER), (TOKEN, OF_TOKEN), (CARD, (submitted,)),
        (NEWCOMER, ("/", f"/apply?product={PRODUCTS[BROWSER]}")),
    )  # fmt: skip

    for customer, addresses in visits:
        if customer is not None:
            page.goto("/language?to=zh-TW&back=/login")
            log_in(page, customer)
        page.goto(f"/language?to={language}&back=/help")
        for address in addresses:
            page.goto(address)
            found += violations(page)
            found += [f"{address} is too wide"] if too_wide(page) else []
            name = address.split("?")[0].strip("/").replace("/", "-") or "home"
            keep_shot(page, f"{language}-{scheme}-{size['width']}-{customer or 0}-{name}")
    context.close()

    assert found == []


def test_the_log_in_works_by_the_keyboard_alone(page: Page) -> None:
    page.goto("/login")

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="跳到主要內容")).to_be_focused()
    page.get_by_label("身分證字號或統一編號").focus()
    page.keyboard.type("A123456781")
    page.keyboard.press("Tab")
    page.keyboard.type("lin01")
    page.keyboard.press("Tab")
    page.keyboard.type("correct horse battery")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="憑證查詢及申請")).to_be_visible()
