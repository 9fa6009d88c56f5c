"""Shows the first day: what would go out, and what the old system has told already."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from scheduler import jobs

if TYPE_CHECKING:
    from tests.xuqi.sample import Bank

WHO = ("--who", "test", "--why", "the first day")


def remind(bank: Bank) -> list[str]:
    """Bodies of what truly goes out at this moment."""
    for job in (jobs.scan, jobs.remind):
        job(bank.app.store, bank.app.policies)
    bank.drain()
    path = bank.home / "outside" / "sms.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line)["body"] for line in lines]


def test_the_preview_says_what_then_goes_out(bank: Bank) -> None:
    said = bank.run("messages", "preview", "--days", "6", "--price", "0.9")
    rows = bank.listed("messages", "preview", "--days", "6")

    sent = remind(bank)

    days = [(row["day"], row["channel"], row["messages"]) for row in rows if "messages" in row]
    assert days == [("2026-03-02", "sms", 1), ("2026-03-06", "sms", 1)]
    [text] = sent
    assert f"  {text}" in said.stdout
    assert "cost" in said.stdout


def test_the_preview_writes_nothing_and_names_what_is_held_back(bank: Bank) -> None:
    with bank.app.store.transaction() as work:
        work.customers.change(work.customers.get(1), opted_out=True)

    said = bank.run("messages", "preview", "--days", "6", lang="zh-TW")

    assert "不送（客戶拒收）：2 張" in said.stdout
    assert bank.listed("messages", "list") == []


def test_what_is_owed_on_the_first_day_is_taken_for_told(bank: Bank) -> None:
    dry = bank.run("golive", "--dry-run")
    wrong = bank.run("golive", "--yes", "7", *WHO)
    done = bank.run("golive", "--yes", "1", *WHO)

    assert "1 in force, the reminder owed now is taken for sent of 1" in dry.stdout
    assert wrong.exit_code == 1
    assert "agree to that number by --yes 1" in wrong.stderr
    assert done.exit_code == 0, done.output
    assert remind(bank) == []
    days = [row["day"] for row in bank.listed("messages", "preview", "--days", "6") if "day" in row]
    assert set(days) == {"2026-03-06"}  # 14 days before the end
    assert bank.run("check").exit_code == 0
    assert "上線前由舊系統提醒過" in bank.run("why", "1", lang="zh-TW").stdout
    assert "go live" in bank.run("audit", "list").stdout


def test_a_second_run_finds_nothing(bank: Bank) -> None:
    assert bank.run("golive", "--yes", "1", *WHO).exit_code == 0

    assert bank.json("golive", "--dry-run")["told"] == 0


def test_going_live_wants_a_name_and_a_reason(bank: Bank) -> None:
    assert bank.run("golive", "--yes", "1").exit_code == 2
