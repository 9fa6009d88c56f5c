"""The live picture says what the store holds, and Prometheus is told the same figures."""

from __future__ import annotations

import re
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from back_office.console.app import console_app
from back_office.staff import Staff, StaffRole
from consumers.registry import standing
from renewal.db.rows import Challenge
from renewal.store import alarms, stations
from scheduler.timetable import Timetable
from templates.bank_file import sample_bank
from templates.rendering import MessageRenderer
from tests.back_office.run_bank import MAKER, RunBank, opened_bank
from xuqi.serving.collector import StoreCollector
from xuqi.serving.http import listening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD = "a clerk's very long password"  # noqa: S105 - of a clerk in a story


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[RunBank]:
    with opened_bank(tmp_path) as bank:
        bank.certificates(7)
        yield bank


def shown(bank: RunBank, language: str = "zh-TW") -> str:
    """The page as a clerk reads it."""
    staff = Staff(bank.store)
    staff.add(MAKER, (StaffRole.MAKER,), who="root", why="the test's")
    staff.set_password(MAKER, PASSWORD)
    renderer = MessageRenderer(sample_bank())
    app = console_app(bank.store, bank.policies, renderer=renderer, consumers=standing)
    headers = {"Sec-Fetch-Site": "same-origin", "Accept-Language": language}
    with ExitStack() as closing:
        port = closing.enter_context(listening(app, "127.0.0.1", 0))
        browser = closing.enter_context(
            httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60)
        )
        browser.post("/login", data={"name": MAKER, "password": PASSWORD})
        page = browser.get("/live").raise_for_status().text
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


def told(bank: RunBank) -> str:
    registry = CollectorRegistry()
    registry.register(StoreCollector(bank.store, bank.policies))
    return generate_latest(registry).decode()


def live(bank: RunBank) -> None:
    """A run, a station, codes, an alarm, and a job that was done."""
    bank.started(1, 2)
    bank.advance()
    at = bank.clock.now()
    with bank.store.transaction() as work:
        stations.enrol(work, number="0a0b", branch="001", public_key=b"k" * 32)
        alarms.raise_alarm(work, alarms.Kind.CLOCK, "clock")
        work.challenges.put(code("verified", at, used_at=at))
        work.challenges.put(code("locked", at, tries=3))
        work.challenges.put(code("waits", at))
        work.challenges.put(code("of before", at - timedelta(days=2)))
    timetable = Timetable(store=bank.store, policies=bank.policies, sms=bank.app.gateways.sms)
    assert timetable.run("scan") is not None
    timetable.stop()


def code(name: str, at: datetime, *, tries: int = 0, used_at: datetime | None = None) -> Challenge:
    return Challenge(
        id=name,
        customer=1,
        action="renew",
        certificate=1,
        session_hash=b"",
        contact_version=1,
        mobile_hash=None,
        fingerprint=b"",
        issued_at=at,
        expires_at=at,
        tries=tries,
        most_tries=3,
        used_at=used_at,
        superseded_at=None,
    )


def test_an_empty_installation_has_a_picture_too(bank: RunBank) -> None:
    page = shown(bank)

    assert "還沒有批次" in page
    assert "沒有人索取" in page
    assert "掃描到期憑證 還沒有過" in page


@pytest.mark.parametrize(
    ("language", "says"),
    [
        ("zh-TW", ("執行中 1", "索取 3", "驗證成功 1", "錯誤次數用完 1", "001 1 0", "的警示 1")),
        ("en", ("running 1", "asked for 3", "verified 1", "wrong tries 1", "001 1 0", "alarms 1")),
    ],
)
def test_the_picture_says_what_the_store_holds(
    bank: RunBank, language: str, says: tuple[str, ...]
) -> None:
    live(bank)

    page = shown(bank, language)

    assert [one for one in says if one not in page] == [], page


def test_prometheus_is_told_the_same(bank: RunBank) -> None:
    live(bank)

    figures = told(bank)

    assert 'xuqi_runs{state="running"} 1.0' in figures
    assert 'xuqi_stations{branch="001"} 1.0' in figures
    assert 'xuqi_certificates_ending{product="securities-browser",week="2"} 7.0' in figures
    assert 'xuqi_job_age_seconds{what="scan"}' in figures
