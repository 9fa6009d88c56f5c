"""Shows that what a bank writes of itself is taken whole, or refused by file and key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from templates.bank_file import KEYS, invented, read_bank, read_with_faults, sample_bank
from templates.bank_file import sample_folder as sample

if TYPE_CHECKING:
    from pathlib import Path

TEXT = (sample() / "bank.toml").read_text(encoding="utf-8")
SHORT = 'zh = "續期銀行"\nen = "Xuqi Bank"\n\n[contact]'
#: What is changed in the sample, and the key that is named.
WRONG = {
    "a key of no meaning": ('phone = "', 'fax = "', "contact.fax"),
    "a table of no meaning": ("[menus]", "[carte]", "carte.renew_zh"),
    "a key that is missing": ('phone = "02-2345-6789"', "", "contact.phone"),
    "no text": ('phone = "02-2345-6789"', "phone = 223456789", "contact.phone"),
    "too long for a text message": (SHORT, SHORT.replace("續期", "續期" * 5), "short.zh"),
    "outside the GSM alphabet": ("Centre > Query and apply", "憑證中心", "menus.renew_en"),
    "a link": ("臺北市中正區續期路一段 1 號", "http://bank.tw", "contact.address_zh"),
    "a branch twice": ('code = "002"', 'code = "001"', "branches[2]"),
    "a branch without a name": ('zh = "營業部"\n', "", "branches[1]"),
    "no TOML": ("[name]", "[name", "(the whole file)"),
}  # fmt: skip


def test_the_sample_is_whole_and_invented() -> None:
    bank = sample_bank()

    assert {branch.code for branch in bank.branches} == {"001", "002"}
    assert invented(bank) == ["name.zh", "name.en", "short.zh", "short.en", "contact.phone"]
    assert all(getattr(bank, field) for field in KEYS.values())


@pytest.mark.parametrize(("old", "new", "key"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_used_is_named_with_what_to_do(
    tmp_path: Path, old: str, new: str, key: str
) -> None:
    assert old in TEXT
    (tmp_path / "bank.toml").write_text(TEXT.replace(old, new), encoding="utf-8")

    bank, wrong = read_with_faults(tmp_path / "bank.toml")

    assert bank is None
    assert key in [one.key for one in wrong]
    assert all(str(one).startswith("bank.toml:") and one.todo for one in wrong)


def test_a_banks_own_data_are_read(tmp_path: Path) -> None:
    told = TEXT.replace("續期銀行", "凱達商銀").replace("Xuqi Bank", "Kaida")
    (tmp_path / "bank.toml").write_text(told.replace("2345-6789", "8765-4321"), encoding="utf-8")

    bank = read_bank(tmp_path / "bank.toml")

    assert (bank.name_zh, bank.brand_en, bank.phone) == ("凱達商銀", "Kaida", "02-8765-4321")
    assert invented(bank) == []
    assert bank.branch_name("002", "en") == "Taichung branch"
    assert bank.branch_name("009", "en") == "009"
