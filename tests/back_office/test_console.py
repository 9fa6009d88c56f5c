"""The console in a real browser: a maker plans a run, a checker approves it, both act and find."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from back_office.console.app import console_app
from back_office.staff import Staff, StaffRole
from back_office.tokens import TokenActions
from consumers.registry import standing
from renewal.lanes import refused_us
from renewal.lifecycle.recordings import open_for
from renewal.store import audit
from templates.bank_file import sample_bank
from templates.rendering import MessageRenderer
from tests.back_office.run_bank import opened_bank
from xuqi.serving.http import listening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

    from tests.back_office.run_bank import RunBank

pytestmark = pytest.mark.slow

PASSWORD = "a clerk's very long password"  # noqa: S105 - of a clerk in a story
MAKER, CHECKER, AUDITOR = "lin", "chen", "huang"
ROLES = {
    MAKER: (StaffRole.MAKER, StaffRole.OPERATOR),
    CHECKER: (StaffRole.CHECKER,),
    AUDITOR: (StaffRole.AUDITOR,),
}
PAGES = (
    "/", "/live", "/runs", "/runs/new", "/inbox", "/certificates", "/certificates/1",
    "/certificates/5", "/dead-letters",
)  # fmt: skip
WORK = (
    "/tasks", "/messages", "/tomorrow", "/calls", "/contacts", "/policies", "/customers/1/contact",
    "/money", "/reconcile", "/tokens", "/tokens/0a0b0c0d", "/tokens/0a0b0c0e", "/recordings",
)  # fmt: skip


@dataclass
class Office:
    """The served console over a bank with thirty certificates, and who sits before it."""

    bank: RunBank
    browser: Browser
    url: str
    complaints: list[str] = field(default_factory=list)

    @contextmanager
    def desk(self, name: str, locale: str = "zh-TW", **how: object) -> Iterator[Page]:
        """A browser of one member of staff, logged in."""
        context = self.browser.new_context(base_url=self.url, locale=locale, **how)  # type: ignore[arg-type]
        context.set_default_timeout(30_000)
        page = context.new_page()
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        page.goto("/login")
        page.locator("[name=name]").fill(name)
        page.locator("[name=password]").fill(PASSWORD)
        page.locator("main button").click()
        expect(page.locator("h1")).not_to_have_text("登入後台")
        yield page
        context.close()

    def _heard(self, message: object) -> None:
        kind, text = getattr(message, "type", ""), getattr(message, "text", "")
        if kind in {"error", "warning"} and "status of 4" not in text:
            self.complaints.append(f"{kind}: {text}")

    def trail(self) -> list[tuple[str, str]]:
        with self.bank.store.snapshot() as snapshot:
            return [(row["who"], row["did"]) for row in audit.entries(snapshot)]


@pytest.fixture
def office(tmp_path: Path, chromium: Browser) -> Iterator[Office]:
    with opened_bank(tmp_path) as bank:
        bank.certificates(30)
        staff = Staff(bank.store)
        for name, roles in ROLES.items():
            staff.add(name, roles, who="root", why="the test's")
            staff.set_password(name, PASSWORD)
        app = console_app(
            bank.store,
            bank.policies,
            renderer=MessageRenderer(sample_bank()),
            branches=("001",),
            consumers=standing,
        )
        with listening(app, "127.0.0.1", 0) as port:
            made = Office(bank, chromium, f"http://127.0.0.1:{port}")
            yield made
    assert made.complaints == []


def give(page: Page, act: str, why: str) -> None:
    form = page.locator(f"form[action$='/{act}']")
    form.locator("[name=why]").fill(why)
    form.locator("button").click()


def test_a_run_goes_from_the_file_to_its_result_through_two_pairs_of_hands(
    office: Office, tmp_path: Path
) -> None:
    listed = tmp_path / "十二月.csv"
    listed.write_text("憑證編號\n1\n2\n99\n", encoding="big5")

    with office.desk(MAKER) as maker, office.desk(CHECKER) as checker:
        maker.goto("/runs/new")
        maker.locator("[name=file]").set_input_files(listed)
        maker.get_by_role("button", name="檢核檔案").click()
        expect(maker.get_by_text("查無此憑證")).to_be_visible()
        give(maker, "submit", "十二月到期")
        expect(maker.get_by_text("等待別人核准")).to_be_visible()
        assert maker.locator("form[action$='/approve']").count() == 0
        checker.goto("/inbox")
        checker.get_by_role("link", name="批次 1").click()
        give(checker, "approve", "看過預覽")
        maker.reload()
        give(maker, "start", "開始")
        office.bank.advance()
        maker.reload()
        with maker.expect_download() as download:
            maker.get_by_role("link", name="每件一列的 CSV").click()
        result = download.value.path().read_text(encoding="utf-8-sig")

    assert office.bank.states(1) == {"handed on": 2}
    assert "查無此憑證" in result
    assert (CHECKER, "approve run") in office.trail()


def test_hours_that_are_none_are_said_and_what_was_typed_stands(office: Office) -> None:
    with office.desk(MAKER) as page:
        page.goto("/runs/new")
        form = page.locator("form[aria-labelledby=h2]")
        form.locator("[name=product]").select_option("cooperative-card")
        form.locator("[name=ends_from]").fill("115/01/01")
        form.locator("[name=hours]").fill("下午")
        form.get_by_role("button", name="試算").click()

        expect(page.get_by_text("時段無法讀取")).to_be_visible()
        assert form.locator("[name=product]").input_value() == "cooperative-card"
        assert form.locator("[name=ends_from]").input_value() == "115/01/01"
        form.locator("[name=hours]").fill("10:00-16:30")
        form.get_by_role("button", name="試算").click()
        page.wait_for_url("**/runs/1")

    with office.bank.store.snapshot() as look:
        assert look.runs.get(1).begins_at == "10:00"


def test_the_page_of_a_running_run_follows_it_by_itself(office: Office) -> None:
    run = office.bank.started(*range(1, 31), per_minute=20)

    with office.desk(MAKER) as page:
        page.goto(f"/runs/{run.id}")
        begun = page.locator("[data-figure=begun]")
        expect(begun).to_have_text("0")
        office.bank.advance(seconds=60)
        expect(begun).to_have_text("20")
        expect(page.locator("[data-count='handed on']")).to_have_text("20")
        office.bank.runs.pause(run.id, who=CHECKER, why="enough")
        expect(page.get_by_role("button", name="繼續執行")).to_be_visible()


def test_the_first_page_says_which_lane_stands_still(office: Office) -> None:
    with office.bank.store.transaction() as work:
        refused_us(work, "sms codes", "20005", b"one")

    with office.desk(MAKER) as page:
        page.goto("/")
        expect(page.get_by_text("sms codes　代碼 20005　自")).to_be_visible()


def test_an_address_of_another_role_is_refused(office: Office) -> None:
    with office.desk(CHECKER) as page:
        page.goto("/audit")
        expect(page.get_by_text("您的職務不能做這件事").first).to_be_visible()
        page.goto("/runs/new")
        expect(page.get_by_text("E4813")).to_be_visible()


def test_who_is_on_the_telephone_is_found_and_shown_in_full_with_a_reason(office: Office) -> None:
    with office.desk(MAKER) as page:
        page.locator("[name=q]").fill("a000000007")
        page.keyboard.press("Enter")
        page.get_by_role("link", name="7", exact=True).click()
        assert "王小明" not in page.content()
        give(page, "unmask", "客戶來電")
        expect(page.get_by_text("王小明")).to_be_visible()
        address = page.url

    assert "A000000007" not in address
    assert (MAKER, "search") in office.trail()
    assert (MAKER, "unmask") in office.trail()


def test_a_customer_who_calls_to_say_no_is_declined(office: Office) -> None:
    renewal = office.bank.request(4)

    with office.desk(MAKER) as page:
        page.goto("/certificates/4")
        page.get_by_text("處理", exact=True).first.click()
        give(page, f"{renewal}/decline", "客戶來電表示不展期")
        expect(page.get_by_text("已記錄，結果列在經過。")).to_be_visible()

    assert office.bank.renewal(renewal).state == "abandoned"
    assert (MAKER, "decline renewal") in office.trail()


def put_tokens_and_recording(bank: RunBank) -> None:
    """A token in stock, one that its customer has, and a renewal that the branch is to record."""
    actions, why = TokenActions(bank.store), {"who": MAKER, "why": "the test's"}
    for serial in ("0a0b0c0d", "0a0b0c0e"):
        actions.register(serial, "001", **why)
    actions.assign("0a0b0c0e", 1, **why)
    actions.move("0a0b0c0e", "activate", **why)
    renewal = bank.request(5)
    with bank.store.transaction() as work:
        row = work.renewals.get(renewal)
        open_for(work, msgspec.structs.replace(row, new_certificate=6), days=3)


@pytest.mark.parametrize("locale", ["zh-TW", "en"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_barrier(office: Office, locale: str, scheme: str, tmp_path: Path) -> None:
    put_tokens_and_recording(office.bank)
    with office.desk(MAKER, locale, color_scheme=scheme) as page:
        page.goto(f"/language?to={locale}")
        for number, path in enumerate((*PAGES, *WORK)):
            page.goto(path)
            found = Axe().run(page).response["violations"]
            page.screenshot(path=tmp_path / f"{number}-{locale}-{scheme}.png", full_page=True)
            assert [(one["id"], one["nodes"][0]["html"]) for one in found] == [], path


def test_a_wrong_password_says_nothing_of_the_account(office: Office) -> None:
    with office.desk(MAKER) as page:
        page.locator("form[action='/log-out'] button").click()
        for name in (MAKER, "nobody"):
            page.locator("[name=name]").fill(name)
            page.locator("[name=password]").fill("wrong wrong wrong wrong")
            page.locator("main button").click()
            expect(page.get_by_text("帳號或密碼不正確")).to_be_visible()
