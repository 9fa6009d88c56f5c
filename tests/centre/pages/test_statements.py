"""The certificate statement (憑證證明單): of the newest certificate, printed and as a file."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from centre.pages.statements import FILES_AT_MOST
from renewal.lifecycle import certificates
from schema import roc
from tests.centre.pages.conftest import keep_shot, log_in
from tests.scenario.patience import patiently
from tests.scenario.sample import BROWSER, CARD

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from renewal.db.rows import Renewal
    from tests.centre.pages.conftest import Desk


FILE_TAKES = 120_000  #: milliseconds at most: its fonts are large
HEADS = (
    "證明單申請日期", "簽章憑證序號", "主旨", "憑證發行者", "憑證生效日", "憑證到期日", "憑證狀態",
)  # fmt: skip


def renewed_card(desk: Desk) -> Renewal:
    """The card's renewal, once the station and the consumers behind the page have done it."""
    renewal = desk.world.requested(CARD)
    station = desk.world.station(CARD)
    for _ in patiently(0.1):
        if desk.world.renewal(renewal.id).state in {"activated", "done"}:
            break
        station.take()
        station.work()
    return desk.world.renewal(renewal.id)


@pytest.mark.shows("C03", "C08", "C09")
def test_a_customer_prints_the_statement_of_the_newest_certificate(page: Page, desk: Desk) -> None:
    renewal = renewed_card(desk)
    serial = desk.world.certificate(renewal.new_certificate or 0).serial.upper()
    log_in(page, CARD)

    page.get_by_role("link", name="憑證證明單列印").first.click()

    sheet = page.locator(".x-sheet")
    expect(page.get_by_role("button", name="列印")).to_be_visible()
    said = sheet.inner_text()
    assert serial[-6:] in said.replace(" ", "")
    assert [head for head in HEADS if head not in said] == []
    assert roc.short(renewal.requested_at) in said
    assert "正常" in said
    assert sheet.locator("select, input").count() == 0
    assert Axe().run(page).response["violations"] == []
    keep_shot(page, "card-statement")


def test_the_hash_of_the_file_is_kept(page: Page, desk: Desk) -> None:
    log_in(page, CARD)

    answer = page.request.get("/statement.pdf", timeout=FILE_TAKES)

    assert answer.body().startswith(b"%PDF-")
    digest = hashlib.sha256(answer.body()).hexdigest()
    [(what, why)] = desk.world.decisions(CARD, "statement")
    assert what == "made"
    assert digest in why


def test_a_customer_who_asks_for_file_after_file_waits(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("centre.pages.statements.pdf_of", lambda _html: b"%PDF-")  # the slow part
    log_in(page, CARD)

    answers = [page.request.get("/statement.pdf").status for _ in range(FILES_AT_MOST + 1)]

    assert answers == [200] * FILES_AT_MOST + [429]
    assert page.request.get("/statement").status == 200


def test_a_suspended_certificate_is_stated_so(page: Page, desk: Desk) -> None:
    with desk.world.store.transaction() as work:
        certificates.suspend(work, work.certificates.get(CARD))
    log_in(page, CARD)

    page.goto("/statement")

    expect(page.locator(".x-sheet")).to_contain_text("暫禁")


def test_a_product_without_a_statement_offers_none(page: Page) -> None:
    log_in(page, BROWSER)
    expect(page.get_by_role("link", name="憑證證明單列印")).to_have_count(0)

    assert page.request.get("/statement").status == 404
