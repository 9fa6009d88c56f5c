"""A station with its screen, two tokens and a centre that issues; a real browser before it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from renewal.clock import SystemClock
from templates.bank_file import sample_bank
from tests.house.sources import ROOT
from tests.token_station.station.branch import Branch
from tests.token_station.tokens import Desk, PretendCa
from token_station.puk_tries import PukTries
from token_station.screen.app import station_app
from token_station.screen.audit import Trail
from token_station.screen.clerks import Clerks, Role
from token_station.screen.person import PersonAtScreen
from token_station.screen.worker import Worker
from token_station.simulator.card import SimulatedCard
from xuqi.serving.http import listening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from renewal.db.engine import Store

PASSWORD = "a clerk's long password"  # noqa: S105 - of a clerk in a story
FIRST, SECOND = "029dc2d0", "029dc2d1"


@dataclass
class Counter:
    """The branch's counter: its station and screen, and what the browser complained of."""

    branch: Branch
    worker: Worker
    clerks: Clerks
    trail: Trail
    url: str
    complaints: list[str] = field(default_factory=list)

    def pull(self, number: int = 0) -> None:
        self.branch.desks[number].reader.pull()

    def insert(self, number: int = 0) -> None:
        desk = self.branch.desks[number]
        desk.reader.insert(SimulatedCard(desk.card_path, desk.manners, desk.ledger))

    def deeds(self) -> list[tuple[str, str]]:
        return [(deed.who, deed.what) for deed in self.trail.deeds()]

    def watch(self, page: Page) -> None:
        """A refusal of the content security policy or a script's error is a failure."""
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))

    def _heard(self, message: object) -> None:
        kind, text = getattr(message, "type", ""), getattr(message, "text", "")
        if kind in {"error", "warning"} and "status of 4" not in text:
            self.complaints.append(f"{kind}: {text}")


@contextmanager
def _issuing(branch: Branch) -> Iterator[None]:
    over = threading.Event()

    def issue() -> None:
        while not over.wait(0.05):
            branch.centre.work()

    thread = threading.Thread(target=issue, name="centre")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.fixture
def counter(tmp_path: Path, store: Store, ca: PretendCa) -> Iterator[Counter]:
    desks = [Desk(tmp_path / serial, ca=ca, serial=serial) for serial in (FIRST, SECOND)]
    for number, desk in enumerate(desks):
        desk.reader.name = f"Example CCID {number:02}"
    clock = SystemClock()
    branch = Branch(tmp_path, store, desks)
    person = PersonAtScreen()
    branch.station.operator = person
    branch.station.puk_tries = PukTries(tmp_path / "puk.json")
    worker = Worker(branch.station, person)
    clerks = Clerks(tmp_path / "clerks.json", clock)
    clerks.add("wang", PASSWORD, shown="王淑芬", role=Role.CLERK, own_tokens=("0badc0de",))
    clerks.add("lin", PASSWORD, shown="林大同", role=Role.SUPERVISOR)
    trail = Trail(tmp_path / "trail.jsonl", clock)
    app = station_app(worker, clerks, trail, clock, bank=sample_bank())
    worker.start()
    with listening(app, "127.0.0.1", 0) as port, _issuing(branch):
        made = Counter(branch, worker, clerks, trail, f"http://127.0.0.1:{port}")
        yield made
        worker.release_waiters()
    worker.stop()
    assert made.complaints == []


@pytest.fixture(params=["zh-TW"])
def page(request: pytest.FixtureRequest, chromium: Browser, counter: Counter) -> Iterator[Page]:
    context = chromium.new_context(base_url=counter.url, locale=request.param)
    context.set_default_timeout(15_000)
    context.on("page", counter.watch)
    yield context.new_page()
    context.close()


def log_in(page: Page, name: str = "wang") -> None:
    page.goto("/login")
    page.locator("#name").fill(name)
    page.locator("#password").fill(PASSWORD)
    page.locator("button[type=submit]").first.click()
    page.wait_for_url("**/")


def keep_shot(page: Page, name: str) -> None:
    """Keep a picture for whoever wants to look, under ``build/screens``."""
    page.screenshot(path=ROOT / "build" / "screens" / f"station-{name}.png", full_page=True)
