"""`xuqi run` as two members of staff type it."""

from __future__ import annotations

import csv
import zipfile
from typing import TYPE_CHECKING

import openpyxl
import pytest

from back_office.runs.errors import RunRefusedError
from back_office.runs.plan import hours_of
from tests.xuqi import sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.xuqi.sample import Bank

WHY = ("--why", "the autumn run")


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    with sample.opened(tmp_path / "home") as bank:
        bank.browser()
        yield bank


@pytest.fixture
def as_user(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def become(name: str) -> None:
        monkeypatch.setattr("xuqi.cli.commands.run.operator", lambda: name)

    return become


def listed(folder: Path, text: str) -> str:
    path = folder / "list.csv"
    path.write_text(text, encoding="big5")
    return str(path)


@pytest.mark.shows("D07")
def test_a_run_is_planned_approved_by_another_person_and_its_result_written(
    bank: Bank, tmp_path: Path, as_user: Callable[[str], None]
) -> None:
    as_user("lin")
    run = bank.json("run", "plan", listed(tmp_path, "憑證編號,備註\n1,甲\n9,乙\n"))
    bank.json("run", "submit", "1", *WHY)
    own = bank.run("run", "approve", "1", "--note", "mine", lang="zh-TW")
    as_user("chen")
    bank.json("run", "approve", "1", "--note", "looked at it")
    bank.json("run", "start", "1", *WHY)
    shown = bank.run("run", "show", "1", lang="zh-TW").output
    written = bank.json("run", "result", "1", str(tmp_path / "result.csv"), *WHY)
    again = bank.run("run", "result", "1", str(tmp_path / "result.csv"), *WHY)

    assert (run["rows"], run["to_begin"], run["refused"]) == (
        2,
        {"securities-browser": 1},
        {"run_no_certificate": 1},
    )
    assert own.exit_code == 1
    assert "不能由自己核准" in own.output
    assert "執行中" in shown
    assert "None" not in shown
    with (tmp_path / "result.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["row"], row["state"], row["code"]) for row in rows] == [
        ("2", "waiting", ""),
        ("3", "row refused", "V105"),
    ]
    assert rows[1]["remedy_zh"]
    assert written["lines"] == 2
    assert again.exit_code == 1


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("run", "plan"), "a file, or a filter"),
        (("run", "plan", "--ends-until", "soon"), "no date"),
        (("run", "plan", "--product", "x", "--hours", "21:00-09:00"), "--hours"),
        (("run", "list", "--state", "nope"), "awaiting approval"),
    ],
)
def test_what_cannot_be_used_is_said_with_what_can(
    bank: Bank, args: tuple[str, ...], says: str
) -> None:
    result = bank.run(*args)

    assert result.exit_code == 2
    assert says in result.output


@pytest.mark.parametrize(
    "text",
    ["", "9-17", "09:00", "09:00Z-21:00", "T09:00-T21:00", "09:00:30-09:00:40", "0930-2100",
     "21:00-09:00", "09:00-09:00", "09:00-24:00", "０９:00-21:00"],
)  # fmt: skip
def test_hours_are_two_times_of_one_day_and_nothing_else(text: str) -> None:
    with pytest.raises(RunRefusedError):
        hours_of(text)


def test_blanks_about_hours_do_not_matter() -> None:
    assert hours_of(" 09:00 - 21:30 ") == ("09:00", "21:30")


def test_a_filter_takes_what_ends_in_it(bank: Bank) -> None:
    inside = bank.json("run", "plan", "--ends-from", "115/03/01", "--ends-until", "115/03/31")
    outside = bank.json("run", "plan", "--ends-from", "2026-04-01")

    assert (inside["rows"], outside["rows"]) == (1, 0)


def test_a_workbook_is_read_as_a_person_sees_it(bank: Bank, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in (("編號", "到期日"), (1.0, bank.end.date()), (None, None), (7, "115/3/20")):
        sheet.append(row)
    book.save(tmp_path / "list.xlsx")

    run = bank.json("run", "plan", str(tmp_path / "list.xlsx"))

    assert run["to_begin"] == {"securities-browser": 1}
    assert run["refused"] == {"run_no_certificate": 1}


def test_a_workbook_that_unpacks_to_far_more_is_refused(bank: Bank, tmp_path: Path) -> None:
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * 50_000_000)

    result = bank.run("run", "plan", str(path))

    assert result.exit_code == 1
    assert "unpacks to" in result.output
    assert bank.listed("run", "list") == []
