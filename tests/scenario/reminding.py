"""A scenario whose reminders alone are served, by one process that lives on between the turns."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from renewal.days_file import DaysFile
from renewal.db.rows import Message
from renewal.rules.contact_hours import TaiwanCalendar
from tests.scenario.scenario import HOUR, POLICIES, Scenario, taipei

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "BROWSER", "CARD", "DAY", "HOUR", "POLICIES", "TOKEN", "Scenario", "got_a_notice", "open_town",
    "taipei",
]  # fmt: skip

BROWSER, TOKEN, CARD = "securities-browser", "corporate-token", "cooperative-card"
DAY = timedelta(days=1)


def open_town(home: Path, now: datetime | str) -> Scenario:
    made = Scenario.opened(home, at=now, groups=("reminders",))
    own_days = TaiwanCalendar(bank_days=DaysFile(home / "days.toml"))
    made.app = replace(made.app, calendar=own_days)
    made.start()
    return made


def got_a_notice(town: Scenario, customer: int, at: datetime) -> None:
    """A receipt by text, say, from another consumer."""
    with town.store.transaction() as work:
        work.messages.put(
            Message(
                id="N1",
                kind="receipt",
                customer=customer,
                channel="sms",
                state="delivered",
                owed_at=at,
                claimed_at=at,
                handed_at=at,
                ended_at=at,
                carrier_id="1",
                code="",
                text_hash=b"",
                instead_of=None,
                renewal=None,
                version=1,
            )
        )
