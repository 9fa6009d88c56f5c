"""A customer renews the certificate of the browser, from the old key's import to the backup."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12
from playwright.sync_api import expect

from tests.centre.pages.conftest import code_sent, keep_shot, log_in
from tests.scenario.sample import BROWSER

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.centre.pages.conftest import Desk

EXPORT_PASSWORD = "Abc12345"  # noqa: S105 - of a customer in a story
OLD_PASSWORD = "Old12345"  # noqa: S105 - of a customer in a story


def import_backup(page: Page, desk: Desk, folder: Path, password: str = OLD_PASSWORD) -> None:
    backup = folder / "old.pfx"
    old = desk.world.old_keys[BROWSER]
    backup.write_bytes(old.backup(desk.world.der(BROWSER), OLD_PASSWORD))
    page.goto("/import")
    page.locator("input[type=file]").set_input_files(backup)
    page.get_by_label("憑證密碼").fill(password)
    page.get_by_role("button", name="匯入", exact=True).click()


def begin(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name="更新憑證").click()
    page.get_by_role("button", name="開始更新").click()


def back_up(page: Page, folder: Path) -> Path:
    expect(page.get_by_role("heading", name="匯出憑證，進行備份")).to_be_visible()
    page.get_by_label("設定匯出密碼").fill(EXPORT_PASSWORD)
    page.get_by_label("再輸入一次").fill(EXPORT_PASSWORD)
    with page.expect_download() as downloading:
        page.get_by_role("button", name="下載備份檔").click()
    path = folder / downloading.value.suggested_filename
    downloading.value.save_as(path)
    return path


@pytest.mark.shows("B02", "B04", "B07", "B08", "B12", "B13", "B14", "B15", "B16", "B18")
def test_a_customer_renews_proves_and_backs_up(page: Page, desk: Desk, tmp_path: Path) -> None:
    log_in(page)
    import_backup(page, desk, tmp_path)
    expect(page.get_by_role("heading", name="匯入成功")).to_be_visible()
    begin(page)
    code = code_sent(page, desk)
    keep_shot(page, "renew-1-code")
    page.get_by_label("4 位數驗證碼").fill(code)
    page.get_by_label("我已閱讀並同意上述內容").check()
    page.get_by_role("button", name="確認更新").click()

    file = back_up(page, tmp_path)

    expect(page.get_by_role("heading", name="憑證更新成功")).to_be_visible()
    keep_shot(page, "renew-4-done")
    key, certificate, _ = pkcs12.load_key_and_certificates(
        file.read_bytes(), EXPORT_PASSWORD.encode()
    )
    assert key is not None
    assert certificate is not None
    assert key.public_key() == certificate.public_key()
    [(state, new)] = desk.world.rows("SELECT state, new_certificate FROM renewals")
    assert state in {"activated", "done"}
    assert desk.world.der(new) == certificate.public_bytes(Encoding.DER)
    desk.becomes(BROWSER, "revoked")
