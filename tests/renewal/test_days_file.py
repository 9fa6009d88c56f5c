"""The bank's days are read again when their file changes, and a broken one changes nothing."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from renewal.days_file import DaysFile, DaysFileError
from renewal.rules.bank_days import BankDays, BankDaysError, read_bank_days
from xuqi.bank import open_bank, write_sample
from xuqi.settings import Settings, SettingsError

if TYPE_CHECKING:
    from pathlib import Path

EVE, STORM = "closed = []\n", "typhoon = [{ date = 2026-07-24 }]\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("closed = [", "not TOML"),
        ("holidays = []", "holidays: would do nothing; write county, closed, open, typhoon"),
        ("closed = [2026-02-16]", "closed, entry 1: write { date, why }"),
        ('closed = [{ date = "2026-02-16" }]', "without quotation marks"),
        ("closed = [{ date = 2026-02-16T08:00:00 }]", "without quotation marks"),
        ("closed = [{ day = 2026-02-16 }]", "closed, entry 1"),
        ("open = 3", "open: must be a list"),
        (
            "closed = [{ date = 2026-02-16 }]\nopen = [{ date = 2026-02-16 }]",
            "both closed and open",
        ),
        ('typhoon = [{ date = 2026-07-24, part = "noon" }]', "morning, afternoon, evening"),
        ('typhoon = [{ date = 2026-07-24, counties = ["臺北市"] }]', "county ="),
        (
            'county = "臺北市"\ntyphoon = [{ date = 2026-07-24, counties = "臺北市" }]',
            "counties = [",
        ),
    ],
)
def test_what_cannot_be_used_is_named_with_what_to_write(text: str, told: str) -> None:
    with pytest.raises(BankDaysError, match=told.replace("[", r"\[").replace("{", r"\{")):
        read_bank_days(text)


def test_without_a_file_the_countrys_calendar_stands(tmp_path: Path) -> None:
    assert DaysFile(tmp_path / "days.toml")() == BankDays()


def test_a_typhoon_that_is_announced_on_the_eve_counts_at_once(tmp_path: Path) -> None:
    file = tmp_path / "days.toml"
    file.write_text(EVE)
    days = DaysFile(file)
    before = days()

    file.write_text(STORM)

    assert before.typhoon == frozenset()
    assert days().typhoon == {date(2026, 7, 24)}


def test_a_broken_change_leaves_the_days_before_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "days.toml"
    file.write_text(STORM)
    days = DaysFile(file)
    days()

    file.write_text("typhoon = [{ date = ")
    kept = [days(), days()]

    assert [it.typhoon for it in kept] == [{date(2026, 7, 24)}] * 2
    assert len(caplog.records) == 1
    with pytest.raises(DaysFileError, match=r"days\.toml: the whole file: it is not TOML"):
        days.check()


def test_the_banks_folder_is_refused_with_days_that_cannot_be_used(tmp_path: Path) -> None:
    folder = write_sample(tmp_path / "bank").parent
    (folder / "days.toml").write_text('closed = [{ date = "2026-02-16" }]')

    with pytest.raises(SettingsError, match=r"days\.toml.*closed, entry 1.*write date = 2026"):
        open_bank(Settings(home=tmp_path))


def test_the_bank_keeps_its_own_days(tmp_path: Path) -> None:
    folder = write_sample(tmp_path / "bank").parent
    (folder / "days.toml").write_text("closed = [{ date = 2026-11-23 }]")

    calendar = open_bank(Settings(home=tmp_path)).calendar()

    assert not calendar.is_business_day(date(2026, 11, 23))
    assert calendar.is_business_day(date(2026, 11, 24))
