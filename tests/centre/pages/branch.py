"""The branch of the pages' world: its station, with the screen that a clerk and a customer use."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from templates.bank_file import sample_bank
from token_station.puk_tries import PukTries
from token_station.screen.app import station_app
from token_station.screen.audit import Trail
from token_station.screen.clerks import Clerks, Role
from token_station.screen.person import PersonAtScreen
from token_station.screen.worker import Worker
from xuqi.serving.http import listening

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from tests.scenario.scenario import Scenario

CLERK, CLERK_PASSWORD = "wang", "a clerk's long password"


@dataclass(frozen=True)
class BranchScreen:
    url: str

    def log_in(self, page: Page) -> None:
        page.goto(f"{self.url}/login")
        page.locator("#name").fill(CLERK)
        page.locator("#password").fill(CLERK_PASSWORD)
        page.locator("button[type=submit]").first.click()
        page.wait_for_url(f"{self.url}/")


@contextmanager
def branch_screen(world: Scenario, *certificates: int) -> Iterator[BranchScreen]:
    """A station whose readers hold the tokens of these certificates."""
    station, person = world.station(*certificates), PersonAtScreen()
    folder = world.home / "station"
    station.operator = person
    station.puk_tries = PukTries(folder / "puk.json")
    worker = Worker(station, person)
    clerks = Clerks(folder / "clerks.json", world.clock)
    clerks.add(CLERK, CLERK_PASSWORD, shown="王淑芬", role=Role.CLERK)
    trail = Trail(folder / "trail.jsonl", world.clock)
    app = station_app(worker, clerks, trail, world.clock, bank=sample_bank())
    worker.start()
    try:
        with listening(app, "127.0.0.1", 0) as port:
            yield BranchScreen(f"http://127.0.0.1:{port}")
            worker.release_waiters()
    finally:
        worker.stop()
        station.incoming.close()
