"""The first `serve` on a bank's whole data surprises nobody: a date, a cap, and what was told."""

from __future__ import annotations

import base64
import csv
import json
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from back_office.imports.sample import customer_rows, write_customers
from renewal.clock import TAIPEI
from tests.back_office.imports.making import certificate
from tests.xuqi import sample

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.xuqi.sample import Bank

CUSTOMERS, CAP = 12, 5
TUESDAY = datetime(2026, 3, 3, 10, tzinfo=TAIPEI).astimezone(UTC)
FIRST_DAYS = {"go_live": "2026-03-03", "first_days": 3, "first_days_cap": CAP}


@cache
def certified(id_number: str, number: int, days_left: int) -> bytes:
    """The same bytes each time: a second file holds the same certificates."""
    return certificate(
        f"{id_number}-00-{number}",
        serial=number + 1,
        not_before=sample.MONDAY - timedelta(days=300),
        not_after=sample.MONDAY + timedelta(days=days_left),
    )


def imported(
    bank: Bank,
    folder: Path,
    reminded: Callable[[int], str] = lambda _: "",
    days_left: Callable[[int], int] = lambda _: 12,
) -> dict[str, Any]:
    """A bank's customers, and the certificates of its CA, by the command."""
    people = [row | {"product": "securities-browser"} for row in customer_rows(CUSTOMERS)]
    customers = write_customers(folder / "customers.csv", people)
    listed = folder / "certificates.csv"
    with listed.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["certificate", "reference", "product", "已提醒日"])
        for number, row in enumerate(people):
            der = certified(row["id_number"], number, days_left(number))
            text = base64.b64encode(der).decode()
            writer.writerow([text, row["reference"], row["product"], reminded(number)])
    bank.json("import", "customers", str(customers))
    result = bank.run("import", "certificates", str(listed), "--unverified", "--json")
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def opened(tmp_path: Path, **settings: Any) -> Any:  # noqa: ANN401 - as sample.opened
    return sample.opened(tmp_path / "bank", **settings)


def texts(bank: Bank) -> int:
    path = bank.home / "outside" / "sms.jsonl"
    return len(path.read_text(encoding="utf-8").splitlines()) if path.exists() else 0


@pytest.fixture
def environment() -> dict[str, str]:
    return {f"XUQI_{name.upper()}": str(value) for name, value in FIRST_DAYS.items()}


def test_the_first_days_remind_nobody_before_and_no_more_than_the_cap(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    with opened(tmp_path, **FIRST_DAYS) as bank:
        bank.environment = environment
        imported(bank, tmp_path)
        preview = bank.listed("messages", "preview", "--days", "2", "--texts", "0")

        bank.turn()  # Monday: not live yet
        before, status = texts(bank), bank.json("status")["first_days"]
        sent = []
        for day in range(3):
            bank.at(TUESDAY + timedelta(days=day, minutes=20))
            sent.append(texts(bank))
        held = bank.json("status")["first_days"]
        check = bank.run("check")
        why = bank.run("why", str(CUSTOMERS), lang="zh-TW").stdout

    assert [(row["day"], row["messages"]) for row in preview] == [
        ("2026-03-03", CAP),
        ("2026-03-04", CAP),
        ("2026-03-05", CUSTOMERS - 2 * CAP),
    ]
    assert before == 0
    assert (status["today"], status["held"]) == (0, CUSTOMERS)
    assert sent == [CAP, 2 * CAP, CUSTOMERS]
    assert (held["today"], held["held"]) == (CUSTOMERS - 2 * CAP, 0)
    assert check.exit_code == 0, check.output
    assert "上線初期限量" in why


def test_what_ends_first_is_reminded_first(tmp_path: Path, environment: dict[str, str]) -> None:
    with opened(tmp_path, **FIRST_DAYS) as bank:
        bank.environment = environment
        imported(bank, tmp_path, days_left=lambda number: 28 - 2 * number)

        bank.turn()
        bank.at(TUESDAY - timedelta(minutes=30))
        listed = bank.listed("messages", "list")

    assert sorted(row["customer"] for row in listed) == list(
        range(CUSTOMERS - CAP + 1, CUSTOMERS + 1)
    )


def test_who_was_told_by_the_old_system_is_not_told_of_it_again(tmp_path: Path) -> None:
    told = ("115/03/01", "2026-02-20", "")  # the step of 14 days passed on 28 February
    with opened(tmp_path) as bank:
        imported(bank, tmp_path, reminded=lambda number: told[number % 3])
        second = imported(bank, tmp_path, reminded=lambda number: told[number % 3])

        bank.turn()
        listed = bank.listed("messages", "list")
        why = bank.run("why", "1", lang="zh-TW").stdout

    assert second["unchanged"] == CUSTOMERS
    assert {row["customer"] % 3 for row in listed} == {2, 0}
    assert len(listed) == CUSTOMERS * 2 // 3
    assert "上線前由舊系統提醒過" in why


def test_a_file_that_comes_later_says_it_of_certificates_on_file(tmp_path: Path) -> None:
    with opened(tmp_path) as bank:
        imported(bank, tmp_path)
        second = imported(bank, tmp_path, reminded=lambda _: "115/03/01")

        bank.turn()
        listed = bank.listed("messages", "list")

    assert second["changed"] == CUSTOMERS
    assert listed == []


def test_a_day_that_is_still_to_come_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path) as bank:
        found = imported(bank, tmp_path, reminded=lambda one: "soon" if one else "2026-03-03")

    assert (found["refused"], found["new"]) == (CUSTOMERS, 0)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("XUQI_GO_LIVE", "soon", "write it like 2026-12-07"),
        ("XUQI_FIRST_DAYS_CAP", "5", "no effect without XUQI_GO_LIVE"),
        ("XUQI_FIRST_DAYS", "0", "from 1 to 90"),
    ],
)
def test_first_days_that_cannot_be_used_are_named(
    bank: Bank, name: str, value: str, says: str
) -> None:
    bank.environment = {name: value}

    result = bank.run("status")

    assert result.exit_code != 0
    assert name in result.output
    assert says in result.output


def test_the_cap_holds_nobody_until_the_certificate_has_ended(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """It can still be renewed for thirty days after, but its customer was without one meanwhile."""
    with opened(tmp_path, **FIRST_DAYS) as bank:
        bank.environment = environment
        imported(bank, tmp_path, days_left=lambda _: 1)  # all on Tuesday, at ten

        bank.turn()
        bank.at(TUESDAY - timedelta(minutes=30))
        listed = bank.listed("messages", "list")

    assert len(listed) == CUSTOMERS
