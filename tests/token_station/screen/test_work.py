"""Renews tokens at the station's screen, as a clerk and a customer do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.sync_api import expect

from tests.scenario.chinese import faults_of_page
from tests.token_station.screen.conftest import FIRST, PASSWORD, SECOND, Counter, keep_shot, log_in
from tests.token_station.station.branch import RENEWAL
from tests.token_station.tokens import PIN, WRONG_PIN

if TYPE_CHECKING:
    from playwright.sync_api import Page


def type_pin(page: Page, pin: str) -> None:
    page.locator("#pin").fill(pin)
    page.get_by_role("button", name="確定").click()


@pytest.mark.shows("D05", "D08", "A11", "A12")
def test_a_clerk_finds_the_job_by_the_serial_and_the_token_is_renewed(
    counter: Counter, page: Page
) -> None:
    counter.branch.centre.ask()
    log_in(page)
    expect(page.get_by_text("等客戶密碼").first).to_be_visible()
    keep_shot(page, "index")
    page.get_by_label("掃描或輸入載具序號").fill(FIRST.upper())
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="請客戶輸入載具密碼")).to_be_visible()
    keep_shot(page, "job-pin")

    type_pin(page, PIN)

    expect(page.get_by_role("heading", name="憑證下載成功")).to_be_visible()
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(2)
    assert [row.inner_text().split()[0] for row in rows.all()] == [FIRST, FIRST]
    keep_shot(page, "job-done")
    counter.worker.stop()
    counter.branch.assert_renewed()
    assert ("wang", "PIN entered") in counter.deeds()


@pytest.mark.shows("A09")
def test_the_shuffled_keypad_enters_the_pin(counter: Counter, page: Page) -> None:
    counter.branch.centre.ask()
    log_in(page)
    page.goto(f"/find?serial={FIRST}")
    keys = page.locator("[data-digit]")
    expect(keys).to_have_count(10)

    for digit in PIN:
        page.locator(f'[data-digit="{digit}"]').click()
    expect(page.locator("[data-count=pin]")).to_have_text("已輸入 6 碼")
    assert PIN not in page.content()
    page.get_by_role("button", name="確定").click()

    expect(page.get_by_role("heading", name="憑證下載成功")).to_be_visible()


def test_the_keypad_is_shuffled_anew_and_put_in_order_on_request(
    counter: Counter, page: Page
) -> None:
    counter.branch.centre.ask()
    log_in(page)
    orders = set()
    for _ in range(6):
        page.goto(f"/find?serial={FIRST}")
        orders.add("".join(page.locator("[data-digit]").all_inner_texts()))
    assert len(orders) > 1

    page.get_by_role("button", name="固定順序").click()

    assert "".join(page.locator("[data-digit]").all_inner_texts()) == "1234567890"
    page.locator('[data-digit="3"]').click()
    assert page.locator("#pin").input_value() == "3"


def test_a_wrong_pin_says_what_still_works_and_how_many_tries_are_left(
    counter: Counter, page: Page
) -> None:
    counter.branch.centre.ask()
    log_in(page)
    page.goto(f"/find?serial={FIRST}")

    type_pin(page, WRONG_PIN)

    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("載具密碼錯誤")
    expect(alert).to_contain_text("原憑證沒有受影響")
    expect(alert).to_contain_text("還可以試 4 次")
    expect(alert).to_contain_text("E5101")
    keep_shot(page, "job-wrong-pin")
    assert counter.branch.desk.card.pin_left == counter.branch.desk.manners.pin_tries - 1


def test_the_last_try_waits_for_the_clerk_s_express_release(counter: Counter, page: Page) -> None:
    most = counter.branch.desk.manners.pin_tries
    counter.branch.centre.ask()
    log_in(page)
    page.goto(f"/find?serial={FIRST}")
    for _ in range(most - 1):
        type_pin(page, WRONG_PIN)
        expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_role("heading", name="請先問客戶")).to_be_visible()
    keep_shot(page, "job-last-try")

    page.get_by_role("button", name="使用最後一次").click()
    expect(page.get_by_role("alert")).to_contain_text("E5107")
    assert counter.branch.desk.card.pin_left == 1
    page.get_by_label("客戶確定").check()
    page.get_by_role("button", name="使用最後一次").click()
    type_pin(page, PIN)

    expect(page.get_by_role("heading", name="憑證下載成功")).to_be_visible()
    assert ("wang", "last try released") in counter.deeds()


def test_a_token_that_is_pulled_goes_on_once_it_is_back(counter: Counter, page: Page) -> None:
    counter.branch.centre.ask()
    log_in(page)
    page.goto(f"/find?serial={FIRST}")
    counter.branch.centre.sends = False
    type_pin(page, PIN)
    expect(page.get_by_role("heading", name="請勿拔出載具")).to_be_visible()
    keep_shot(page, "job-progress")

    counter.pull()
    expect(page.get_by_role("heading", name="請這樣做")).to_be_visible()
    keep_shot(page, "job-removed")
    counter.branch.centre.send(RENEWAL, counter.branch.centre.issued[RENEWAL])
    counter.insert()
    expect(page.get_by_role("heading", name="請客戶輸入載具密碼")).to_be_visible()
    type_pin(page, PIN)

    expect(page.get_by_role("heading", name="憑證下載成功")).to_be_visible()
    assert counter.branch.deeds("generate") == [("9A", "ok")]


def test_readers_are_shown_live(counter: Counter, page: Page) -> None:
    log_in(page)
    expect(page.get_by_text(SECOND)).to_be_visible()
    page.get_by_label("掃描或輸入載具序號").fill("029")

    counter.pull(1)

    expect(page.get_by_text(SECOND)).to_have_count(0)
    expect(page.get_by_text("請插入載具", exact=True)).to_be_visible()
    assert page.get_by_label("掃描或輸入載具序號").input_value() == "029"


def test_no_page_shows_what_is_not_meant_for_people(counter: Counter) -> None:
    found = {}
    with httpx.Client(base_url=counter.url, follow_redirects=True) as client:
        client.headers["Sec-Fetch-Site"] = "same-origin"
        locked = client.get("/login").text
        client.post("/login", data={"name": "wang", "password": PASSWORD}).raise_for_status()
        token = f"/tokens/{FIRST}"
        more = (token, f"{token}/pin", f"{token}/unblock", f"{token}/statement", f"/jobs/{RENEWAL}")
        for address in ("/", "/lock", "/nowhere", "/tokens", *more):
            found[address] = faults_of_page(client.get(address).text)

    assert faults_of_page(locked) == []
    assert {address: wrong for address, wrong in found.items() if wrong} == {}


def test_a_serial_without_a_job_says_so(counter: Counter, page: Page) -> None:
    log_in(page)
    page.get_by_label("掃描或輸入載具序號").fill("ffffffff")
    page.keyboard.press("Enter")

    expect(page.get_by_role("alert")).to_contain_text("找不到這支載具的工作")


@pytest.mark.parametrize("page", ["en-US"], indirect=True)
def test_the_screen_speaks_english(counter: Counter, page: Page) -> None:
    counter.branch.centre.ask()
    log_in(page)
    page.goto(f"/find?serial={FIRST}")

    expect(
        page.get_by_role("heading", name="Please let the customer enter the PIN")
    ).to_be_visible()
    page.locator("#pin").fill(PIN)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="The certificate is on the token")).to_be_visible()
    keep_shot(page, "job-done-en")


@pytest.mark.parametrize("agrees", [True, False])
def test_a_key_that_is_not_ours_is_destroyed_only_if_its_holder_gives_it_up(
    counter: Counter,
    page: Page,
    agrees: bool,  # noqa: FBT001 - pytest names it
) -> None:
    session = counter.branch.desk.session()
    foreign = counter.branch.desk.ca.certify(session.generate("9A", "P-256"))
    session.write_certificate("9A", foreign)
    counter.branch.centre.ask()
    log_in(page)
    page.goto(f"/find?serial={FIRST}")
    type_pin(page, PIN)
    expect(page.get_by_role("heading", name="請問客戶是否放棄")).to_be_visible()
    assert session.read_certificate("9A") == foreign
    keep_shot(page, "job-consent")

    page.get_by_role("button", name="客戶同意放棄" if agrees else "不放棄").click()

    heading = "憑證下載成功" if agrees else "這件工作已結束，沒有寫入"
    expect(page.get_by_role("heading", name=heading)).to_be_visible()
    there = counter.branch.desk.session().read_certificate("9A")
    assert (there == foreign) is not agrees
    what = "foreign key given up" if agrees else "foreign key kept"
    assert ("wang", what) in counter.deeds()
