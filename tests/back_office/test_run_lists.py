"""What a preview says of messages and fees, and what is wrong with a list, row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from openpyxl import load_workbook

from back_office.runs.errors import RunRefusedError
from back_office.runs.faulty import faulty_rows, write_marked
from back_office.runs.plan import RunTerms
from back_office.runs.preview import messages_of, preview
from renewal.store import runs as queries
from schema.reasons import RefusalReason, RunReason
from templates.bank_file import sample_bank
from templates.rendering import MessageRenderer
from tests.back_office.run_bank import MAKER, PRODUCT, opened_bank

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from back_office.runs.faulty import FaultyRow
    from renewal.db.rows import Run
    from tests.back_office.run_bank import RunBank

LIST = "編號,到期日,備註\n1,,\n=1+1,,\n2,2026-12-12,\n5,,\n77,,\n1,,\n"


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[RunBank]:
    with opened_bank(tmp_path) as bank:
        bank.certificates(4)
        bank.certificates(1, state="suspended", first=5)
        yield bank


def _from(bank: RunBank, path: Path) -> Run:
    return bank.planner.from_file(path, RunTerms(name="autumn"), who=MAKER)


def _wrong(bank: RunBank, run: int) -> list[FaultyRow]:
    with bank.store.snapshot() as look:
        return list(faulty_rows(look, run))


def test_a_preview_says_which_messages_go_out_by_which_channel(bank: RunBank) -> None:
    bank.reach(1, mail="a@example.com", mobile="+886912345678")
    bank.reach(2, mobile="+886912345678")
    bank.reach(3, mobile="+886912345678")
    run = bank.planned(1, 2, 3, 4)

    with bank.store.snapshot() as look:
        planned = messages_of(look, run.id, bank.policies, MessageRenderer(sample_bank()))
        seen = preview(look, run.id, bank.policies)

    assert [(it.channel, it.count, it.all_segments) for it in planned] == [
        ("", 1, 0),
        ("mail", 1, 0),
        ("sms", 2, 2),
    ]
    assert "辦理更新" in planned[2].text
    assert [(it.product, it.count, it.each) for it in seen.fees] == [(PRODUCT, 4, 0)]


def _token(bank: RunBank, number: int, serial: str) -> None:
    with bank.store.transaction() as work:
        work.certificates.change(work.certificates.get(number), token_serial=serial)


@pytest.mark.parametrize(
    ("on_file", "typed"),
    [
        ("029dc2d0", "029DC2D0"),
        ("029dc2d0", "02 9d-c2:d0"),
        ("029dc2d0", "29dc2d0"),
        ("0029dc2d0f", "29DC2D0F"),
        ("ZX-001 7788", "zx0017788"),
        ("ZX-001 7788", "ZX-001-7788"),
        ("XB00017", "ＸＢ０００１７"),
        ("0000ZK77", "zk77"),
    ],
)
def test_a_token_is_found_however_its_serial_is_typed(
    bank: RunBank, on_file: str, typed: str
) -> None:
    _token(bank, 3, on_file)

    run = _from(bank, bank.file(f"token_serial\n{typed}\n"))

    with bank.store.snapshot() as look:
        assert [one.certificate for one in queries.items(look, run.id, after=0, at_most=9)] == [3]


def test_a_spelling_that_two_tokens_share_is_asked_about(bank: RunBank) -> None:
    _token(bank, 1, "ZK-77")
    _token(bank, 2, "0ZK77")
    _token(bank, 3, "zk.88")

    run = _from(bank, bank.file("token_serial\nzk77\nZK-77\nZK88\nZK99\n"))

    with bank.store.snapshot() as look:
        named = [one.certificate for one in queries.items(look, run.id, after=0, at_most=9)]
    assert named == [1, 3]  # what is spelled as on file is no question
    assert [(it.number, it.why.code) for it in _wrong(bank, run.id)] == [
        (2, RunReason.AMBIGUOUS),
        (5, RunReason.NO_CERTIFICATE),
    ]


def test_each_row_that_is_not_renewed_has_a_code_a_reason_and_its_column(bank: RunBank) -> None:
    run = _from(bank, bank.file(LIST))

    found = _wrong(bank, run.id)

    assert [(it.number, it.column, it.code) for it in found] == [
        (3, "certificate", "V103"),
        (4, "not_after", "V107"),
        (5, "", "E4103"),
        (6, "certificate", "V105"),
        (7, "", "V108"),
    ]
    assert found[2].why.code is RefusalReason.SUSPENDED
    assert all(it.reason(lang) and it.remedy(lang) for it in found for lang in ("zh-TW", "en"))


def test_the_workbook_marks_the_cells_to_mend_and_can_be_a_run_of_its_own(
    bank: RunBank, tmp_path: Path
) -> None:
    source, target = bank.file(LIST), tmp_path / "marked.xlsx"
    run = _from(bank, source)

    marked = write_marked(bank.store, run.id, source, target)
    sheet = load_workbook(target)["errors"]
    again = _from(bank, target)

    assert marked == 5
    rows = list(sheet.iter_rows(min_row=2))
    red = [[cell.coordinate[0] for cell in row if cell.comment] for row in rows]
    assert red == [["A"], ["H"], ["A"], ["A"], ["A"]]
    assert rows[0][0].value == "'=1+1"
    assert rows[0][0].data_type == "s"
    assert len(_wrong(bank, again.id)) == 4  # what was there twice is there once now


def test_a_workbook_is_made_of_the_file_of_the_run_alone(bank: RunBank, tmp_path: Path) -> None:
    run = _from(bank, bank.file(LIST))
    other = bank.file("編號\n1\n", "other.csv")

    with pytest.raises(RunRefusedError) as caught:
        write_marked(bank.store, run.id, other, tmp_path / "marked.xlsx")

    assert caught.value.reason.code is RunReason.OTHER_FILE
    assert not (tmp_path / "marked.xlsx").exists()
