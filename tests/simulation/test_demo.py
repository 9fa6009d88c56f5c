"""The demo is what a visitor runs first: its story, its ledgers, and starting it again."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from renewal.gateways.sms.mailbox import SmsUnavailable
from schema.policy import load_policies
from simulation.checker import judge
from simulation.outside import SOON, Faults
from simulation.run import main
from tests.scenario.chinese import faults_of_page

if TYPE_CHECKING:
    from renewal.gateways.sms.port import Sms

DAYS = 32
CUSTOMERS = 24  # as many as there are awkward cases, and some others

#: Keys and serials differ from run to run, and so does what is derived from them.
DIFFER = {
    "sms.jsonl": ("id",),
    "mail.jsonl": ("id",),
    "ca.jsonl": ("serial", "spki_sha256"),
    "bank.jsonl": (),
    "cards.jsonl": ("sha256",),
    "customers.jsonl": ("certificate",),
}
FIELDS = {
    "sms.jsonl": {"at", "to", "body", "id", "ref"},
    "mail.jsonl": {"at", "to", "subject", "body", "id", "ref"},
    "ca.jsonl": {
        "at", "op", "serial", "subject", "spki_sha256", "not_before", "not_after",
        "request_id", "reason",
    },
    "bank.jsonl": {"at", "op", "id", "account", "amount", "ref", "of", "answer"},
    "cards.jsonl": {"at", "card", "op", "slot", "result", "sha256"},
    "customers.jsonl": {
        "at", "customer", "certificate", "did", "result", "mobile", "mail", "product",
    },
}  # fmt: skip


def rows(home: Path, ledger: str) -> list[dict[str, str]]:
    text = (home / "outside" / ledger).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def told(home: Path) -> dict[str, list[dict[str, str]]]:
    """The story without keys and serials."""
    story = {}
    for ledger, differ in DIFFER.items():
        story[ledger] = [
            {
                name: re.sub(r"[0-9a-f]{6,8}", "…", value) if name == "body" else value
                for name, value in row.items()
                if name not in differ
            }
            for row in rows(home, ledger)
        ]
    return story


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("demo") / "demo"
    assert main(seed=7, customers=CUSTOMERS, days=DAYS, home=home) == 0
    return home


@pytest.mark.slow
def test_the_same_seed_tells_the_same_story(home: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"

    main(seed=7, customers=CUSTOMERS, days=DAYS, home=again)

    assert told(again) == told(home)


@pytest.mark.slow
def test_another_seed_tells_another_story_and_nothing_goes_wrong_in_it(
    home: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"

    result = main(seed=8, customers=CUSTOMERS, days=DAYS, home=other)

    assert result == 0
    assert told(other)["customers.jsonl"] != told(home)["customers.jsonl"]


@pytest.mark.slow
@pytest.mark.shows("D01", "D02", "D03", "D04", "D05", "D06", "D08")
def test_everything_happens_in_it_that_the_house_is_for(home: Path) -> None:
    did = {(row["did"], row["product"]) for row in rows(home, "customers.jsonl")}
    banked = {row["op"] for row in rows(home, "bank.jsonl")}
    certified = {row["op"] for row in rows(home, "ca.jsonl")}

    assert {"asked", "coded", "agreed", "received", "proved", "backed_up", "used"} <= {
        name for name, product in did if product == "securities-browser"
    }
    assert {"asked", "paid", "brought_token", "gave_pin", "received", "proved", "used"} <= {
        name for name, product in did if product == "corporate-token"
    }
    assert {"asked", "brought_token", "pulled_token", "gave_pin", "received", "proved"} <= {
        name for name, product in did if product != "securities-browser"
    }
    assert {"hold", "capture", "debit"} <= banked
    assert {"issue", "revoke", "suspend", "resume"} <= certified


@pytest.mark.slow
def test_its_ledgers_have_the_fields_that_others_read(home: Path) -> None:
    for ledger, fields in FIELDS.items():
        for row in rows(home, ledger):
            assert set(row) - {"final", "code"} == fields, ledger
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", row["at"])


@pytest.mark.slow
def test_its_judge_reads_the_ledgers_alone_and_sees_what_is_wrong(
    home: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    for ledger in DIFFER:
        (outside / ledger).write_bytes((home / "outside" / ledger).read_bytes())
    lines = (outside / "bank.jsonl").read_text().splitlines()
    capture = next(line for line in lines if json.loads(line)["op"] == "capture")
    twice = {**json.loads(capture), "id": "another"}
    (outside / "bank.jsonl").write_text("\n".join([*lines, json.dumps(twice)]) + "\n")

    found = judge(outside, policies=load_policies(), ended=False)

    assert "I4" in {one.invariant for one in found}


@pytest.mark.slow
def test_its_report_has_charts_tables_and_no_person(home: Path) -> None:
    page = (home / "report.html").read_text(encoding="utf-8")
    figures = json.loads((home / "report.json").read_text(encoding="utf-8"))

    assert faults_of_page(page) == []
    assert page.count("<svg") >= 5
    assert page.count("<table") >= 5
    assert figures["check"] == dict.fromkeys(("I1", "I2", "I3", "I4", "I5", "I8", "I9", "I10"), 0)
    assert figures["judged"] == []
    assert figures["used"].keys() == {"ok"}
    for row in rows(home, "customers.jsonl"):
        for personal in filter(None, (row["mobile"], row["mail"])):
            assert personal not in page


@pytest.mark.slow
def test_a_demo_that_was_killed_begins_afresh_without_complaint(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    command = [
        sys.executable, "-c",
        ("import sys; from pathlib import Path; from simulation.run import main;"
        "sys.exit(main(7, 5, 12, Path(sys.argv[1])))"),
        str(home),
    ]  # fmt: skip
    first = subprocess.Popen(command, cwd=Path.cwd(), stderr=subprocess.PIPE, text=True)
    assert first.stderr is not None
    while "the clock runs" not in first.stderr.readline():
        pass
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    first.stderr.close()

    second = subprocess.run(command, capture_output=True, text=True, check=False)

    assert second.returncode == 0, second.stderr
    assert "Error" not in second.stderr
    assert json.loads((home / "report.json").read_text())["judged"] == []


@pytest.mark.slow
def test_a_carrier_that_is_away_for_seconds_is_tried_again_before_anything_else_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A story whose clock leaps from one happening to the next would keep the bank waiting."""
    refused: set[str] = set()

    def sms(_: Faults, sms: Sms) -> SmsUnavailable | None:
        if sms.id in refused:
            return None
        refused.add(sms.id)
        return SmsUnavailable(retry_after=SOON)

    monkeypatch.setattr(Faults, "sms", sms)
    assert main(seed=7, customers=CUSTOMERS, days=5, home=tmp_path / "demo") == 0

    reminders = [row for row in rows(tmp_path / "demo", "sms.jsonl") if row["ref"][0] == "M"]
    assert reminders
    assert {row["at"][14:16] for row in reminders} == {"00"}  # of the hour in which it is owed
