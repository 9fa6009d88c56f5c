"""Somebody with an account and nothing else gets a password, and applies for a certificate."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12
from playwright.sync_api import expect

from centre.accounts import Accounts
from simulation.client import BrowserKey
from tests.centre.pages.conftest import PASSWORD, USER_CODE, code_sent, keep_shot, log_in
from tests.centre.pages.test_api import encoded, goes_on, until
from tests.centre.pages.test_api import log_in as token_of
from tests.centre.pages.test_renewing import EXPORT_PASSWORD, back_up
from tests.scenario.rows import id_number_of
from tests.scenario.sample import BROWSER, PRODUCTS

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.centre.pages.conftest import Desk

NEWCOMER = 11


@pytest.fixture
def newcomer(desk: Desk) -> Desk:
    desk.world.enrol(NEWCOMER, PRODUCTS[BROWSER])
    return desk


def begin(page: Page) -> None:
    page.goto("/")
    page.get_by_role("row").get_by_role("link", name="申請", exact=True).click()
    page.get_by_role("button", name="開始申請").click()


def confirm(page: Page, desk: Desk) -> None:
    code = code_sent(page, desk)
    page.get_by_label("4 位數驗證碼").fill(code)
    page.get_by_label("我已閱讀並同意上述內容").check()
    page.get_by_role("button", name="確認申請").click()


@pytest.mark.shows("B01", "B05", "B10", "B12", "B13", "B14", "B18")
def test_from_the_first_password_to_the_backup_of_the_first_certificate(
    page: Page, newcomer: Desk, tmp_path: Path
) -> None:
    page.goto("/password")
    page.get_by_label("身分證字號或統一編號").fill(id_number_of(NEWCOMER))
    page.get_by_label("使用者代號").fill(USER_CODE)
    page.get_by_role("button", name=re.compile("驗證碼")).click()
    page.wait_for_url("/password/new")
    newcomer.texted_after(0)
    page.get_by_label("6 位數驗證碼").fill(newcomer.code())
    page.get_by_label("新密碼", exact=True).fill(PASSWORD)
    page.get_by_label("再輸入一次").fill(PASSWORD)
    page.locator("form button[type=submit]").last.click()
    log_in(page, NEWCOMER)
    expect(page.get_by_text("尚未申請", exact=True)).to_be_visible()
    begin(page)
    expect(page.get_by_role("heading", name="申請憑證")).to_be_visible()
    keep_shot(page, "apply-1-code")
    confirm(page, newcomer)

    file = back_up(page, tmp_path)

    expect(page.get_by_role("heading", name="憑證申請成功")).to_be_visible()
    keep_shot(page, "apply-2-done")
    key, certificate, _ = pkcs12.load_key_and_certificates(
        file.read_bytes(), EXPORT_PASSWORD.encode()
    )
    assert key is not None
    assert certificate is not None
    assert key.public_key() == certificate.public_key()
    newcomer.until("SELECT state, old_state FROM renewals", [("done", "none")])
    page.goto("/")
    expect(page.get_by_role("row").get_by_role("link", name="註銷")).to_be_visible()
    page.goto("/history")
    expect(page.get_by_text("您申請憑證")).to_be_visible()


def test_reloaded_half_way_and_pressed_twice_it_goes_on_as_one(
    page: Page, newcomer: Desk, tmp_path: Path
) -> None:
    Accounts(newcomer.world.app.store).set_password(NEWCOMER, USER_CODE, PASSWORD)
    log_in(page, NEWCOMER)
    page.goto(f"/apply?product={PRODUCTS[BROWSER]}")
    page.get_by_role("button", name="開始申請").dblclick()
    page.wait_for_url("**/renew/*")
    page.goto("/")
    page.get_by_role("link", name="接續辦理").click()
    newcomer.pause()  # the CA takes its time
    before = len(newcomer.world.outside("sms"))
    page.get_by_role("button", name=re.compile("取得驗證碼")).click()
    page.locator("#code").wait_for()
    newcomer.world.drain_to("otp")
    newcomer.texted_after(before)
    page.get_by_label("4 位數驗證碼").fill(newcomer.code())
    page.get_by_label("我已閱讀並同意上述內容").check()
    page.get_by_role("button", name="確認申請").click()
    expect(page.get_by_role("heading", name="正在製作您的新憑證")).to_be_visible()
    page.reload()
    newcomer.go_on()

    back_up(page, tmp_path)

    expect(page.get_by_role("heading", name="憑證申請成功")).to_be_visible()
    assert newcomer.world.rows("SELECT count(*) FROM renewals") == [(1,)]


def test_an_application_begins_by_the_keyboard_alone(page: Page, newcomer: Desk) -> None:
    Accounts(newcomer.world.app.store).set_password(NEWCOMER, USER_CODE, PASSWORD)
    log_in(page, NEWCOMER)
    tab_to(page, "申請")
    page.keyboard.press("Enter")
    page.wait_for_url("**/apply*")
    tab_to(page, "開始申請")

    page.keyboard.press("Enter")

    page.wait_for_url("**/renew/*")
    expect(page.get_by_role("heading", name="取得驗證碼")).to_be_visible()


def tab_to(page: Page, words: str) -> None:
    """Press Tab until the link or button of these words has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText.trim()") == words:
            return
    raise AssertionError(f"{words} cannot be reached")


@pytest.mark.shows("B01")
def test_a_program_applies_by_the_api(newcomer: Desk) -> None:
    Accounts(newcomer.world.app.store).set_password(NEWCOMER, USER_CODE, PASSWORD)
    key = BrowserKey.new()
    with httpx.Client(base_url=f"{newcomer.url}/api/v1") as client:
        client.headers["Authorization"] = f"Bearer {token_of(client, NEWCOMER)}"
        offers = client.get("/offers").json()
        told = client.post("/applications", json={"product": PRODUCTS[BROWSER]}).json()
        again = client.post("/applications", json={"product": PRODUCTS[BROWSER]}).json()
        unknown = client.post("/applications", json={"product": "of-nobody"}).json()
        other = client.post("/applications", json={"product": "corporate-token"}).json()
        asked = {"certificate": told["certificate"], "purpose": "apply"}
        sent = client.post("/codes", json=asked).json()
        newcomer.texted_after(0)
        confirmation = {
            "challenge": sent["challenge"],
            "code": newcomer.code(),
            "terms_sha256": client.get(f"/terms/{PRODUCTS[BROWSER]}").json()["sha256"],
            "csr": encoded(key.request()),
        }
        path = f"/renewals/{told['renewal']}"
        confirmed = client.post(f"{path}/confirmation", json=confirmation).raise_for_status()
        goes_on(client, confirmed)
        until(client, told["renewal"], "issued")
        der = base64.b64decode(client.post(f"{path}/certificate").json()["certificate"])
        signature = encoded(key.sign(base64.b64decode(told["challenge"])))

        proven = client.post(f"{path}/proof", json={"signature": signature}).json()

        [line] = client.get("/certificates").json()
        assert client.get("/offers").json() == []
    assert offers == [{"product": PRODUCTS[BROWSER], "do": "apply", "application": None}]
    assert told["is_application"] is True
    assert [one["code"] for one in (again, unknown, other)] == ["E4106", "E9404", "E4113"]
    assert proven["state"] in {"activated", "done"}
    assert (line["certificate"], line["do"]) == (told["certificate"], "revoke")
    assert x509.load_der_x509_certificate(der).public_key() == key.private.public_key()
    assert len(sent["to"]) == 2


def test_somebody_elses_application_is_unknown(newcomer: Desk) -> None:
    told = newcomer.world.centre.apply(NEWCOMER, PRODUCTS[BROWSER])
    with httpx.Client(base_url=f"{newcomer.url}/api/v1") as client:
        client.headers["Authorization"] = f"Bearer {token_of(client, BROWSER)}"
        asked = {"certificate": getattr(told, "certificate", 0), "purpose": "apply"}

        answers = [client.post("/codes", json=asked), client.get(f"/renewals/{told.id}")]  # type: ignore[union-attr]

    assert [answer.json()["code"] for answer in answers] == ["E9404", "E9404"]
