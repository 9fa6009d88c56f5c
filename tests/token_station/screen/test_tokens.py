"""Looks at tokens, changes PINs and unblocks at the station's screen."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from cryptography import x509
from playwright.sync_api import expect

from tests.token_station.screen.conftest import FIRST, PASSWORD, SECOND, Counter, keep_shot, log_in
from tests.token_station.tokens import PIN, PUK, WRONG_PIN

if TYPE_CHECKING:
    from playwright.sync_api import Page

NEW_PIN = "246802"


def fill(page: Page, **fields: str) -> None:
    for name, value in fields.items():
        page.locator(f"#{name}").fill(value)


def ask_and_approve(page: Page, *, supervisor: str = "lin") -> None:
    page.goto(f"/tokens/{FIRST}/unblock")
    fill(page, why="客戶臨櫃，證件已核對")
    page.get_by_role("button", name="證件已核對").click()
    expect(page.get_by_label("主管代號")).to_be_visible()
    fill(page, name=supervisor, password=PASSWORD, note="同意")
    page.get_by_role("button", name="核准解鎖").click()


@pytest.mark.shows("A11")
def test_what_is_on_a_token_is_shown_without_the_customer_s_number(
    counter: Counter, page: Page
) -> None:
    log_in(page)

    page.goto(f"/tokens/{SECOND}")

    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody")).to_contain_text("A12345****-00-000001")
    assert "A123456789" not in page.content()
    keep_shot(page, "token")


@pytest.mark.shows("A15")
def test_the_customer_changes_the_pin(counter: Counter, page: Page) -> None:
    log_in(page)
    page.goto("/tokens?to=pin")
    page.get_by_role("link", name=FIRST).click()
    fill(page, old=PIN, new=NEW_PIN, again=NEW_PIN)
    keep_shot(page, "pin")

    page.get_by_role("button", name="變更密碼").click()

    expect(page.get_by_role("alert")).to_contain_text("密碼已變更")
    counter.branch.desk.session().sign("9C", b"data", pin=NEW_PIN)
    assert ("wang", "PIN changed") in counter.deeds()


def test_two_different_new_pins_never_reach_the_token(counter: Counter, page: Page) -> None:
    log_in(page)
    page.goto(f"/tokens/{FIRST}/pin")
    fill(page, old=WRONG_PIN, new=NEW_PIN, again="999999")

    page.get_by_role("button", name="變更密碼").click()

    expect(page.get_by_role("alert")).to_contain_text("兩次輸入的新密碼不同")
    assert counter.branch.desk.card.pin_left == counter.branch.desk.manners.pin_tries


def test_a_wrong_old_pin_tells_the_tries_left(counter: Counter, page: Page) -> None:
    log_in(page)
    page.goto(f"/tokens/{FIRST}/pin")
    fill(page, old=WRONG_PIN, new=NEW_PIN, again=NEW_PIN)

    page.get_by_role("button", name="變更密碼").click()

    expect(page.get_by_role("alert")).to_contain_text("還可以試 4 次")
    counter.branch.desk.session().sign("9C", b"data", pin=PIN)


def test_two_persons_and_the_customer_unblock_a_token(counter: Counter, page: Page) -> None:
    log_in(page)
    ask_and_approve(page)
    expect(page.get_by_label("解鎖碼（PUK）")).to_be_visible()
    keep_shot(page, "unblock")
    fill(page, puk=PUK, new=NEW_PIN, again=NEW_PIN)

    page.get_by_role("button", name="解鎖並設定新密碼").click()

    expect(page.get_by_role("alert")).to_contain_text("載具已解鎖")
    counter.branch.desk.session().sign("9C", b"data", pin=NEW_PIN)
    deeds = counter.deeds()
    assert ("wang", "unblock asked") in deeds
    assert ("lin", "unblock approved") in deeds
    assert ("wang", "unblocked") in deeds


@pytest.mark.parametrize(
    ("supervisor", "why"),
    [("wang", "核准的人不能是經辦本人"), ("nobody", "沒有主管核准")],
)
def test_nobody_unblocks_alone(counter: Counter, page: Page, supervisor: str, why: str) -> None:
    log_in(page)

    ask_and_approve(page, supervisor=supervisor)

    expect(page.get_by_role("alert")).to_contain_text(why)
    expect(page.get_by_label("解鎖碼（PUK）")).to_have_count(0)


def test_an_unblocking_without_approval_is_refused_whatever_is_posted(
    counter: Counter, page: Page
) -> None:
    log_in(page)

    answer = page.request.post(
        f"/tokens/{FIRST}/unblock",
        form={"puk": PUK, "new": NEW_PIN, "again": NEW_PIN},
        headers={"Sec-Fetch-Site": "same-origin"},
    )

    assert answer.status == 403
    counter.branch.desk.session().sign("9C", b"data", pin=PIN)


def test_the_last_try_of_the_unblocking_code_needs_an_express_yes(
    counter: Counter, page: Page
) -> None:
    most = counter.branch.desk.manners.puk_tries
    log_in(page)
    ask_and_approve(page)
    for _ in range(most - 1):
        fill(page, puk="00000000", new=NEW_PIN, again=NEW_PIN)
        page.get_by_role("button", name="解鎖並設定新密碼").click()
        expect(page.get_by_role("alert")).to_contain_text("解鎖碼錯誤")
    assert counter.branch.desk.card.puk_left == 1

    fill(page, puk="00000000", new=NEW_PIN, again=NEW_PIN)
    page.get_by_role("button", name="解鎖並設定新密碼").click()

    expect(page.get_by_text("解鎖碼還可以試 1 次")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("E5102")
    assert counter.branch.desk.card.puk_left == 1


def test_a_clerk_does_not_work_on_a_token_of_their_own(counter: Counter, page: Page) -> None:
    counter.clerks.add(
        "wang", PASSWORD, shown="王淑芬", role=counter.clerks.all()[0].role, own_tokens=(FIRST,)
    )
    log_in(page)
    page.goto(f"/tokens/{FIRST}/pin")
    fill(page, old=PIN, new=NEW_PIN, again=NEW_PIN)

    page.get_by_role("button", name="變更密碼").click()

    expect(page.get_by_text("不能辦理自己的載具").first).to_be_visible()
    counter.branch.desk.session().sign("9C", b"data", pin=PIN)


def test_the_screen_is_locked_and_unlocked_by_the_clerk_s_password(
    counter: Counter, page: Page
) -> None:
    log_in(page)
    page.get_by_role("button", name="鎖定").click()
    expect(page.get_by_role("heading", name="已鎖定")).to_be_visible()
    keep_shot(page, "lock")
    page.goto("/tokens")
    expect(page.get_by_role("heading", name="已鎖定")).to_be_visible()

    page.locator("#password").fill("wrong password")
    page.get_by_role("button", name="解開").click()
    expect(page.get_by_role("alert")).to_contain_text("代號或密碼不正確")
    fill(page, password=PASSWORD)
    page.get_by_role("button", name="解開").click()

    expect(page.get_by_label("掃描或輸入載具序號")).to_be_visible()


@pytest.mark.shows("C08", "C09")
def test_the_statement_is_of_the_newest_certificate_and_comes_as_pdf(
    counter: Counter, page: Page
) -> None:
    desk = counter.branch.desk
    new = desk.renew(desk.session())
    number = f"{x509.load_der_x509_certificate(new).serial_number:X}".zfill(4)
    log_in(page)
    page.goto(f"/tokens/{FIRST}/statement")
    expect(page.get_by_role("heading", name="憑證證明單")).to_be_visible()
    assert f"{number[:2]} {number[2:]}" in page.locator(".x-sheet").inner_text()
    assert page.locator(".x-sheet select, .x-sheet input").count() == 0
    assert "A123456789" not in page.content()
    keep_shot(page, "statement")

    answer = page.request.get(f"/tokens/{FIRST}/statement.pdf")

    assert answer.body().startswith(b"%PDF-")
    (counter.branch.path / "statement.pdf").write_bytes(answer.body())
    digest = hashlib.sha256(answer.body()).hexdigest()
    assert counter.trail.deeds()[-1].note == f"sha256 {digest}"


@pytest.mark.parametrize("page", ["zh-TW", "en-US"], indirect=True)
def test_every_page_is_accessible(counter: Counter, page: Page) -> None:
    counter.branch.centre.ask()
    page.goto("/login")
    faults = {"/login": serious(page)}
    log_in(page)
    for path in (
        *("/", f"/find?serial={FIRST}", "/find?serial=ffff", "/tokens", f"/tokens/{SECOND}"),
        f"/tokens/{SECOND}/statement",
        *(f"/tokens/{FIRST}/pin", f"/tokens/{FIRST}/unblock", "/jobs/R00000009-01"),
    ):
        page.goto(path)
        faults[path] = serious(page)

    assert {path: found for path, found in faults.items() if found} == {}


def serious(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in found]
