"""The pages of bulk runs say nothing in English to who reads Chinese, in any state of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from back_office.console.app import console_app
from back_office.staff import Staff, StaffRole
from templates.bank_file import sample_bank
from templates.rendering import MessageRenderer
from tests.back_office.run_bank import opened_bank
from tests.scenario.chinese import faults_of_page
from xuqi.serving.http import listening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.back_office.run_bank import RunBank

PASSWORD = "a clerk's very long password"  # noqa: S105 - of a clerk in a story
HEADERS = {"Sec-Fetch-Site": "same-origin", "Accept-Language": "zh-TW"}


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[RunBank]:
    with opened_bank(tmp_path) as bank:
        bank.certificates(6)
        bank.certificates(2, state="revoked", first=7)
        staff = Staff(bank.store)
        staff.add("lin", tuple(StaffRole), who="root", why="the test's")
        staff.set_password("lin", PASSWORD)
        yield bank


def test_each_page_of_a_run_is_in_chinese(bank: RunBank) -> None:
    runs = [bank.planned(1, 2, 7, 8), bank.approved(3, 4), bank.started(5, 6)]
    bank.advance()
    app = console_app(bank.store, bank.policies, renderer=MessageRenderer(sample_bank()))
    paths = ["/runs", "/runs/new", "/inbox"]
    for run in runs:
        paths += [f"/runs/{run.id}", f"/runs/{run.id}/errors"]

    with (
        listening(app, "127.0.0.1", 0) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=HEADERS) as client,
    ):
        client.post("/login", data={"name": "lin", "password": PASSWORD})
        pages = {path: client.get(path) for path in paths}

    shown = {path: answer.text for path, answer in pages.items() if answer.status_code == 200}
    assert {"/runs", "/runs/new", *(f"/runs/{run.id}" for run in runs)} <= shown.keys()
    assert {path: found for path, page in shown.items() if (found := faults_of_page(page))} == {}
