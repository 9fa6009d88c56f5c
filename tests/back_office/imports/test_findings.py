"""Shows that what an import found is said in the reader's language, and alike to programs."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING

import pytest

from back_office.imports import certificate_files, customer_row
from back_office.imports.report import FindingsFile
from back_office.runs import sheet
from templates.codes import column_name
from tests.back_office.imports.making import a_customer
from tests.xuqi import sample

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from back_office.imports.table import Columns
    from tests.back_office.imports.making import Bank
    from tests.xuqi.sample import Bank as Home

CHINESE = re.compile(r"[\u4e00-\u9fff]")
#: Words in a row: names of formats, files and options stand alone.
SENTENCE = re.compile(r"\b[A-Za-z]{2,}(?: [A-Za-z]{2,}){2,}\b")
RAW = re.compile(r"(?<![\w.-])[a-z]{2,}_[a-z_]+(?![\w.-])")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """One bank for all: each test reads, or brings in a customer of its own."""
    with sample.opened(tmp_path_factory.mktemp("findings") / "bank") as opened:
        yield opened


def test_the_file_of_findings_is_in_the_language_of_its_reader(bank: Bank, tmp_path: Path) -> None:
    bank.customers(a_customer(mobile="02-2345-6789", mail="?"), a_customer(id_number="?"))

    for language in ("zh-TW", "en"):
        with FindingsFile(tmp_path / f"{language}.csv", language) as write:
            for finding in bank.findings:
                write(finding.raw)

    zh, en = (
        list(csv.reader(io.StringIO((tmp_path / f"{it}.csv").read_text(encoding="utf-8-sig"))))
        for it in ("zh-TW", "en")
    )
    assert zh[0] == ["檔案", "位置", "欄位", "結果", "原因", "代碼"]
    assert en[0] == ["file", "place", "field", "outcome", "reason", "code"]
    assert ["第 2 列", "手機", "註記"] in [row[1:4] for row in zh]
    assert ["line 2", "mobile", "noted"] in [row[1:4] for row in en]
    assert "不是手機號碼：簡訊無法送達" in {row[4] for row in zh}
    assert "is no mobile number: text messages will not reach it" in {row[4] for row in en}
    assert [row[5] for row in zh] == [*zh[0][5:], *(row[5] for row in en[1:])]
    assert not [row for row in zh[1:] for cell in row[:5] if SENTENCE.search(cell)]


def test_for_programs_only_the_reason_depends_on_the_language(bank: Bank, tmp_path: Path) -> None:
    bank.customers(a_customer(id_number="?"))

    for language in ("zh-TW", "en"):
        with FindingsFile(tmp_path / f"{language}.jsonl", language) as write:
            write(bank.findings[0].raw)

    zh, en = (json.loads((tmp_path / f"{it}.jsonl").read_text()) for it in ("zh-TW", "en"))
    assert (zh["place"], zh["field"], zh["outcome"]) == ("line 2", "id_number", "refused")
    assert zh["code"] == "finding_id_form"
    assert CHINESE.search(zh["reason"])
    assert {**zh, "reason": ""} == {**en, "reason": ""}


#: What people hand in: a name, its content, and words of the answer.
FILES = (
    ("customers.csv", "a,b\n1,2\n", "不是欄位名稱"),
    ("customers.csv", "reference,id_number,name,colour\n", "不認得欄位「colour」"),
    ("customers.csv", "reference,reference,name\n", "「客戶編號」出現兩次"),
    ("customers.csv", "reference,name\n", "缺少欄位「身分證字號」"),
    ("customers.csv", 'reference,id_number,name\n"1,2,3\n', "引號有開始、沒有結束"),
    ("customers.csv", "reference,id_number,name\n1,2\n", "有 2 個儲存格"),
    ("customers.csv", "reference,id_number,name\n#,?,\n", "須為 6 至 20 個"),
    ("customers.csv", "", "是空的"),
    ("customers.csv", "PK\x03\x04", "另存成 CSV"),
    ("certificates.pem", "%PDF-1.4", "是 PDF，不是憑證"),
    ("certificates.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n", "沒有結束的標記"),
    (
        "certificates.pem",
        "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----",
        "不是憑證",
    ),
    ("certificates.pem", "nothing", "裡面沒有憑證"),
    ("certificates.csv", "certificate,state\nMAA=,?\n", "須為 有效、暫禁 或 廢止"),
)


@pytest.mark.parametrize(("name", "content", "words"), FILES)
def test_who_reads_chinese_meets_no_english_sentence(
    home: Home, tmp_path: Path, name: str, content: str, words: str
) -> None:
    file = tmp_path / name
    file.write_text(content)
    unverified = ["--unverified"] if name.startswith("certificates") else []

    done = home.run("import", file.stem, str(file), *unverified, "--dry-run", lang="zh-TW")

    said = (done.stdout + done.stderr).replace(str(file), "")
    assert done.exit_code == 1, said
    assert words in said
    assert SENTENCE.findall(said) + RAW.findall(said) == []


def test_changes_and_notes_are_counted_in_words(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "customers.csv"
    heading = "reference,id_number,name,mobile\n"
    file.write_text(f"{heading}N1,F111111118,王,0912345670\n")
    home.run("import", "customers", str(file))
    file.write_text(f"{heading}N1,F111111118,王,02-23456789\n")

    zh = home.run("import", "customers", str(file), "--dry-run", lang="zh-TW").stdout
    en = home.run("import", "customers", str(file), "--dry-run", lang="en").stdout
    read = json.loads(home.run("import", "customers", str(file), "--dry-run", "--json").stdout)

    assert "1 × 更換手機號碼" in zh
    assert "1 × 不是手機號碼：簡訊無法送達" in zh
    assert "1 × mobile number replaced" in en
    assert read["changes"] == {"mobile replaced": 1}
    assert read["noted"] == {"finding_landline": 1}


@pytest.mark.parametrize(
    "columns", [customer_row.COLUMNS, certificate_files.COLUMNS, sheet.COLUMNS]
)
@pytest.mark.parametrize("language", ["zh-TW", "en"])
def test_each_column_is_named_by_a_heading_that_the_file_may_have(
    columns: Columns, language: str
) -> None:
    for name in columns.names:
        assert columns.called(column_name(name, language)) == name
