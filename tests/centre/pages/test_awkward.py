"""Renewals that go wrong half-way: each page says what happened, and nothing is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.centre.pages.conftest import code_sent, keep_shot, log_in
from tests.centre.pages.test_renewing import back_up, begin, import_backup
from tests.scenario.patience import patiently
from tests.scenario.sample import BROWSER

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import BrowserContext, Page

    from tests.centre.pages.conftest import Desk


SEEDED = 3  #: certificates that the world begins with


def at_the_code(page: Page, desk: Desk, folder: Path) -> str:
    """A customer who holds the present key, has agreed, and has a code on the phone."""
    log_in(page)
    import_backup(page, desk, folder)
    expect(page.get_by_role("heading", name="匯入成功")).to_be_visible()
    begin(page)
    page.get_by_label("我已閱讀並同意上述內容").check()
    return code_sent(page, desk)


def enter(page: Page, code: str) -> None:
    page.get_by_label("4 位數驗證碼").fill(code)
    page.get_by_role("button", name="確認更新").click()


def other_than(code: str) -> str:
    return f"{(int(code) + 1) % 10_000:04}"


def renewals(desk: Desk) -> list[str]:
    return [state for (state,) in desk.world.rows("SELECT state FROM renewals ORDER BY id")]


@pytest.mark.shows("B09")
def test_a_code_that_has_expired_is_asked_for_again_and_the_consent_is_kept(
    page: Page, desk: Desk, tmp_path: Path
) -> None:
    code = at_the_code(page, desk, tmp_path)
    desk.world.wait(seconds=61)

    enter(page, code)

    expect(page.get_by_role("heading", name="驗證碼已失效")).to_be_visible()
    expect(page.get_by_label("我已閱讀並同意上述內容")).to_be_checked()
    keep_shot(page, "renew-1-code-expired")
    enter(page, code_sent(page, desk))
    back_up(page, tmp_path)


@pytest.mark.shows("B09")
def test_three_wrong_codes_kill_the_code_and_a_new_one_goes_on(
    page: Page, desk: Desk, tmp_path: Path
) -> None:
    code = at_the_code(page, desk, tmp_path)

    for left in ("2", "1"):
        enter(page, other_than(code))
        expect(page.get_by_role("heading", name="驗證碼不正確")).to_be_visible()
        expect(page.get_by_text(f"還可以輸入 {left} 次")).to_be_visible()
    keep_shot(page, "renew-1-code-wrong")
    enter(page, other_than(code))

    expect(page.get_by_role("heading", name="錯誤次數過多")).to_be_visible()
    assert renewals(desk) == ["requested"]
    enter(page, code_sent(page, desk))
    back_up(page, tmp_path)


@pytest.mark.shows("B07")
def test_without_the_present_key_the_page_says_what_to_do(page: Page, desk: Desk) -> None:
    log_in(page)

    begin(page)

    expect(page.get_by_role("heading", name="這台電腦沒有憑證，不能在這裡更新")).to_be_visible()
    expect(page.get_by_role("button", name="確認更新")).to_be_hidden()
    keep_shot(page, "renew-no-key")
    assert renewals(desk) == ["requested"]


@pytest.mark.shows("B16")
def test_a_wrong_password_opens_no_backup_and_the_right_one_does(
    page: Page, desk: Desk, tmp_path: Path
) -> None:
    log_in(page)

    import_backup(page, desk, tmp_path, password="Wrong123")  # noqa: S106 - a wrong one

    expect(page.get_by_role("heading", name="無法開啟這個檔案：密碼錯誤或檔案毀損")).to_be_visible()
    keep_shot(page, "import-error")
    import_backup(page, desk, tmp_path)
    expect(page.get_by_role("heading", name="匯入成功")).to_be_visible()


def test_a_reload_in_the_middle_goes_on_where_it_stood(
    page: Page, desk: Desk, tmp_path: Path
) -> None:
    enter(page, at_the_code_paused(page, desk, tmp_path))
    expect(page.get_by_role("heading", name="正在製作您的新憑證")).to_be_visible()

    page.reload()
    desk.go_on()

    back_up(page, tmp_path)
    assert renewals(desk) in (["activated"], ["done"])
    made_anew = [row for row in desk.world.outside("ca") if row["op"] == "issue"][SEEDED:]
    assert len(made_anew) == 1


def at_the_code_paused(page: Page, desk: Desk, folder: Path) -> str:
    code = at_the_code(page, desk, folder)
    desk.pause()
    return code


def test_a_session_that_has_ended_goes_on_after_the_next_log_in(
    page: Page, desk: Desk, tmp_path: Path
) -> None:
    code = at_the_code(page, desk, tmp_path)
    desk.world.wait(minutes=11)
    enter(page, code)
    expect(page.get_by_role("heading", name="已登出")).to_be_visible()

    log_in(page)

    expect(page.get_by_role("heading", name="更新還沒有完成")).to_be_visible()
    page.get_by_role("link", name="接續更新").click()
    page.get_by_label("我已閱讀並同意上述內容").check()
    enter(page, code_sent(page, desk))
    back_up(page, tmp_path)


def test_two_tabs_make_one_renewal(
    context: BrowserContext, page: Page, desk: Desk, tmp_path: Path
) -> None:
    code = at_the_code(page, desk, tmp_path)
    other = context.new_page()
    other.goto(page.url)

    enter(page, code)
    expect(page.get_by_role("heading", name="匯出憑證，進行備份")).to_be_visible()
    enter(other, code)

    expect(other.get_by_role("heading", name="憑證更新成功")).to_be_visible()
    assert renewals(desk) in (["activated"], ["done"])


def test_a_double_click_and_the_back_button_send_nothing_twice(
    page: Page, desk: Desk, tmp_path: Path
) -> None:
    code = at_the_code(page, desk, tmp_path)
    page.get_by_label("4 位數驗證碼").fill(code)

    page.get_by_role("button", name="確認更新").dblclick()

    expect(page.get_by_role("heading", name="匯出憑證，進行備份")).to_be_visible()
    page.go_back()
    page.go_back()
    assert renewals(desk) in (["activated"], ["done"])
    assert desk.world.decisions(BROWSER, "code").count(("used", "")) == 1


def test_a_key_that_the_browser_has_lost_is_said_and_the_renewal_can_be_cancelled(
    page: Page, desk: Desk, tmp_path: Path
) -> None:
    enter(page, at_the_code_paused(page, desk, tmp_path))
    expect(page.get_by_role("heading", name="正在製作您的新憑證")).to_be_visible()
    page.evaluate("indexedDB.deleteDatabase('xuqi')")
    desk.go_on()
    for _ in patiently():
        if renewals(desk) == ["issued"]:
            break

    page.reload()

    expect(page.get_by_role("heading", name="這台電腦找不到這次辦理的金鑰")).to_be_visible()
    keep_shot(page, "renew-2-lost")
    page.get_by_role("button", name="取消這次更新").click()
    expect(page.get_by_role("heading", name="憑證查詢及申請")).to_be_visible()
    assert renewals(desk) == ["abandoned"]
    assert desk.world.certificate(BROWSER).state == "active"


@pytest.mark.shows("B14")
def test_the_backup_cannot_be_skipped_and_its_password_is_checked(
    page: Page, desk: Desk, tmp_path: Path
) -> None:
    enter(page, at_the_code(page, desk, tmp_path))
    expect(page.get_by_role("heading", name="匯出憑證，進行備份")).to_be_visible()

    page.goto("/")
    expect(page.get_by_role("heading", name="匯出憑證，進行備份")).to_be_visible()
    page.get_by_label("設定匯出密碼").fill("ab!")
    page.get_by_label("再輸入一次").fill("abc")
    page.get_by_role("button", name="下載備份檔").click()

    expect(page.get_by_text("請用 4–10 碼英文字母與數字")).to_be_visible()
    expect(page.get_by_text("與上面的密碼不一樣")).to_be_visible()
    keep_shot(page, "renew-3-backup-error")
    back_up(page, tmp_path)
    expect(page.get_by_role("heading", name="憑證更新成功")).to_be_visible()
    page.goto("/")
    expect(page.get_by_role("heading", name="本公司主機端")).to_be_visible()


def test_a_lost_connection_is_said_and_mended_by_itself(
    context: BrowserContext, page: Page, desk: Desk, tmp_path: Path
) -> None:
    enter(page, at_the_code_paused(page, desk, tmp_path))
    expect(page.get_by_role("heading", name="正在製作您的新憑證")).to_be_visible()

    context.set_offline(True)
    expect(page.get_by_role("heading", name="連線中斷，正在重新連線")).to_be_visible()
    context.set_offline(False)
    desk.go_on()

    back_up(page, tmp_path)
    desk.complaints[:] = [it for it in desk.complaints if "ERR_INTERNET_DISCONNECTED" not in it]


def test_a_code_that_was_sent_at_half_past_is_good_for_a_minute_and_no_longer(
    page: Page, desk: Desk, tmp_path: Path
) -> None:
    at_the_code(page, desk, tmp_path)

    desk.world.wait(seconds=31)
    page.reload()

    ring = page.get_by_role("timer")
    assert ring.get_attribute("data-left") in {"28", "29"}
