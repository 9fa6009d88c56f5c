"""A house whose pages are served, a pump that delivers, and a real browser that reads them."""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from centre.accounts import Accounts
from centre.pages.app import centre_app
from centre.release import ReleasePasswords
from templates.bank_file import sample_bank
from tests.house.sources import ROOT
from tests.scenario.patience import patiently
from tests.scenario.rows import id_number_of
from tests.scenario.sample import open_sample
from xuqi.serving.http import listening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.scenario.scenario import Scenario

expect.set_options(timeout=20_000)  # the machine may be busy

PASSWORD = "correct horse battery"  # noqa: S105 - of a customer in a story
USER_CODE = "LIN01"


@dataclass
class Desk:
    """A customer's desk: the served centre, the phone, and what the browser complained of."""

    world: Scenario
    url: str
    complaints: list[str] = field(default_factory=list)
    pumping: threading.Event = field(default_factory=threading.Event)

    def pause(self) -> None:
        """Let nothing be delivered: the CA takes its time."""
        self.pumping.clear()

    def go_on(self) -> None:
        self.pumping.set()

    def code(self) -> str:
        """The newest code on the phone."""
        for _ in patiently():  # the pump has it in hand
            if self.world.outside("sms"):
                break
        body = next(line["body"] for line in reversed(self.world.outside("sms")))
        found = re.search(r"(?<!\d)\d{4,6}(?!\d)", body)
        assert found, body
        return found[0]

    def becomes(self, certificate: int, state: str) -> None:
        """Wait for the consumers: until the certificate is in this state."""
        self.until(f"SELECT state FROM certificates WHERE id = {certificate:d}", [(state,)])  # noqa: S608 - a number

    def until(self, query: str, rows: list[tuple[object, ...]]) -> None:
        """Wait for the consumers: until the database says so."""
        for _ in patiently():
            if self.world.rows(query) == rows:
                return
        raise AssertionError(self.world.rows(query))

    def texted_after(self, before: int) -> None:
        """Wait until there are more texts than before."""
        for _ in patiently():
            if len(self.world.outside("sms")) > before:
                return
        raise AssertionError("no text came")

    def release_password(self, customer: int, password: str) -> None:
        """As its owner has set it before."""
        ReleasePasswords(self.world.app.store).set(customer, USER_CODE, password)

    def watch(self, page: Page) -> None:
        """
        A console error, a refusal of the content security policy or a script's error is a failure.
        """
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))

    def _heard(self, message: object) -> None:
        kind, text = getattr(message, "type", ""), getattr(message, "text", "")
        if kind in {"error", "warning"} and "status of 4" not in text:
            self.complaints.append(f"{kind}: {text}")


@pytest.fixture(scope="session")
def first_world(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    made = open_sample(tmp_path_factory.mktemp("world") / "home")
    accounts = Accounts(made.app.store)
    for customer in (1, 2, 3):
        accounts.set_password(customer, USER_CODE, PASSWORD)
    made.close()
    return made


@contextmanager
def _pumping(desk: Desk) -> Iterator[None]:
    """What the consumers do in a served house, over and over."""
    over = threading.Event()
    desk.go_on()

    def pump() -> None:
        while not over.wait(0.05):
            if desk.pumping.is_set():
                desk.world.drain()

    thread = threading.Thread(target=pump, name="pump")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.fixture
def desk(first_world: Scenario, tmp_path: Path) -> Iterator[Desk]:
    world = open_sample(tmp_path / "home", like=first_world)
    app = centre_app(world.app.store, world.app.centre, world.app.policies, bank=sample_bank())
    with listening(app, "127.0.0.1", 0) as port:
        desk = Desk(world, f"http://127.0.0.1:{port}")
        with _pumping(desk):
            yield desk
    world.close()
    assert desk.complaints == []


@pytest.fixture
def context(chromium: Browser, desk: Desk) -> Iterator[BrowserContext]:
    made = chromium.new_context(base_url=desk.url, locale="zh-TW", accept_downloads=True)
    made.set_default_timeout(15_000)
    made.on("page", desk.watch)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def keep_shot(page: Page, name: str) -> None:
    """Keep a picture for whoever wants to look, under ``build/screens``."""
    page.screenshot(path=ROOT / "build" / "screens" / f"{name}.png", full_page=True)


def log_in(
    page: Page, customer: int = 1, user_code: str = USER_CODE, *, password: str = PASSWORD
) -> None:
    page.goto("/login")
    page.get_by_label("身分證字號或統一編號").fill(id_number_of(customer))
    page.get_by_label("使用者代號").fill(user_code.lower())
    page.get_by_label("密碼", exact=True).fill(password)
    page.get_by_role("button", name="登入").click()
    page.wait_for_url("/")


def code_sent(page: Page, desk: Desk) -> str:
    """Ask for a code by the page's button, and read it on the phone."""
    before = len(desk.world.outside("sms"))
    page.get_by_role("button", name=re.compile("取得驗證碼")).click()
    page.locator("#code").wait_for()
    desk.texted_after(before)
    return desk.code()
