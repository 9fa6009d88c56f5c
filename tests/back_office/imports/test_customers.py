"""Shows that a bank's customers come in as they are, once, or are refused with place and reason."""

from __future__ import annotations

import csv
import io
import json
import os
import resource
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from back_office.imports.customer_row import LEFT_OUT
from back_office.imports.report import FindingsFile, ImportFileError
from back_office.imports.sample import HEADING, customer_rows, write_customers
from renewal.db.identity_map import ConflictError
from templates.codes import text
from tests.back_office.imports.making import BROWSER, CARD, TOKEN, Bank, a_customer
from tests.scenario.refusals import refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHINESE = {
    "reference": "客戶編號",
    "id_number": "身分證字號",
    "name": "姓名",
    "mobile": "手機",
    "mail": "電子郵件",
    "locale": "語言",
    "opted_out": "拒收",
    "product": "產品",
    "class": "類別",
    "operator": "操作者",
    "branch": "分行",
    "account": "帳號",
}


def test_a_customer_is_on_file_sealed_and_can_be_looked_up(bank: Bank) -> None:
    report = bank.customers(a_customer(branch="012"))

    (customer,) = bank.on_file()
    (enrolment,) = bank.enrolments()
    vault = bank.store.cipher
    assert (report.new, report.rows, bank.findings) == (1, 1, [])
    assert (
        bank.opened(customer.id_number_sealed, "customers.id_number", customer.id) == "A123456789"
    )
    assert bank.opened(customer.name_sealed, "customers.name", customer.id) == "王小明"
    assert bank.opened(customer.mobile_sealed, "customers.mobile", customer.id) == "+886912345678"
    assert bank.opened(customer.mail_sealed, "customers.mail", customer.id) == "wang@example.com"
    assert customer.mobile_hash == vault.hash("+886912345678", "customers.mobile")
    assert customer.id_number_hash == vault.hash("A123456789", "customers.id_number")
    assert customer.reference_hash == vault.hash("C00000000", "customers.reference")
    assert (customer.contact_version, customer.locale, customer.opted_out) == (1, "zh-TW", False)
    assert (enrolment.product, enrolment.customer_class) == (BROWSER, 2)
    assert (enrolment.operator, enrolment.branch) == ("only user", "012")
    assert (
        bank.opened(enrolment.account_sealed, "enrolments.account", enrolment.sealed_row)
        == "012345678901"
    )


def test_the_same_file_a_second_time_changes_nothing(bank: Bank) -> None:
    rows = list(customer_rows(1203))
    bank.customers(*rows)
    before = bank.everything()

    report = bank.customers(*rows)

    assert (report.unchanged, report.rows) == (1203, 1203)
    assert bank.everything() == before


def test_a_dry_run_changes_nothing_and_says_what_the_real_run_does(bank: Bank) -> None:
    bank.customers(*customer_rows(300))
    rows = [
        *({**row, "mail": f"new{at}@example.com"} for at, row in enumerate(customer_rows(200))),
        *({**row, "reference": f"N{at}"} for at, row in enumerate(customer_rows(200))),  # IDs taken
        *({**row, "product": CARD} for row in customer_rows(900)),
        *customer_rows(1100),
        *({**row, "mobile": "1"} for row in customer_rows(50)),
    ]
    bank.findings.clear()
    before = bank.everything()

    dry = bank.customers(*rows, dry_run=True)
    foreseen, unchanged = list(bank.findings), bank.everything()
    bank.findings.clear()
    real = bank.customers(*rows)

    assert unchanged == before
    assert bank.findings == foreseen
    assert (dry.new, dry.changed, dry.unchanged, dry.refused, dry.noted) == (
        *(real.new, real.changed, real.unchanged, real.refused),
        real.noted,
    )
    assert min(real.new, real.changed, real.unchanged, real.refused) > 0
    assert dry.dry_run
    assert real.rows == len(rows)
    assert bank.progress[-1] == len(rows)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "big5", "cp950"])
@pytest.mark.parametrize("headings", [{}, CHINESE], ids=["English", "Chinese"])
def test_every_encoding_and_heading_of_a_bank_is_read(
    bank: Bank, encoding: str, headings: dict[str, str]
) -> None:
    path = write_customers(
        bank.folder / "c.csv", [a_customer()], encoding=encoding, headings=headings
    )

    bank.file(path)

    (customer,) = bank.on_file()
    assert bank.opened(customer.name_sealed, "customers.name", customer.id) == "王小明"


def test_columns_come_in_any_order_quoted_and_with_full_width_digits(bank: Bank) -> None:
    bank.text(
        '" Mobile ","姓名",ＩＤ,"Customer No"\r\n'
        '"０９１２－３４５－６７８"," 王,小明　",ａ１２３４５６７８９,７\r\n'
    )

    (customer,) = bank.on_file()
    assert bank.opened(customer.mobile_sealed, "customers.mobile", customer.id) == "+886912345678"
    assert bank.opened(customer.name_sealed, "customers.name", customer.id) == "王,小明"
    assert (
        bank.opened(customer.id_number_sealed, "customers.id_number", customer.id) == "A123456789"
    )
    assert bank.enrolments() == []


def test_one_broken_line_does_not_turn_a_file_of_utf_8_into_big5(bank: Bank) -> None:
    text = "reference,id_number,name\nC1,A123456707,王小明\nC2,A123456716,李四\n".encode()

    report = bank.text(text + b"C3,A123456783,\xa4\xfd\n")

    assert (report.new, report.refused) == (2, 1)
    assert bank.said() == [("line 4", "", "the line is not UTF-8")]


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("reference", "", "must be 1 to 40"),
        ("reference", "=cmd", "must be 1 to 40"),
        ("id_number", "", "must be 6 to 20"),
        ("id_number", "A1234/56789", "must be 6 to 20"),
        ("name", "", "must be 1 to 100"),
        ("name", "王" * 101, "must be 1 to 100"),
        ("name", "王\x07小明", "cannot be printed"),
        ("mobile", "12", "is no telephone number"),
        ("mobile", "+886-912", "is no number that anybody can have"),
        ("mobile", "8.86912E+11", "rounded by a spreadsheet"),
        ("mobile", "+99900000000000000", "is no"),
        ("mail", "wang", "is no mail address"),
        ("mail", "wang@example", "is no mail address"),
        ("mail", "a@b.tw, c@d.tw", "is no mail address"),
        ("mail", "wang@-x.tw", "is no mail address"),
        ("mail", "w" * 65 + "@example.com", "too long"),
        ("locale", "fr", "must be zh-TW or en"),
        ("opted_out", "maybe", "must be yes or no"),
        ("product", "gold-card", "is none of cooperative-card, corporate-token, securities"),
        ("class", "1", "must be 2, 3 or 4"),
        ("operator", "x" * 33, "at most 32"),
        ("branch", "a branch", "must be 1 to 16"),
        ("account", "1.23E+11", "rounded by a spreadsheet"),
        ("account", "帳號", "must be 1 to 34"),
    ],
)
def test_a_broken_field_is_refused_with_line_field_and_reason(
    bank: Bank, field: str, value: str, reason: str
) -> None:
    whole = a_customer(reference="C2", id_number="A187654323")

    report = bank.customers(a_customer() | {field: value}, whole)

    ((place, named, said),) = bank.said()
    assert (place, named) == ("line 2", field)
    assert reason in said
    assert len(value) < 3 or value not in said
    kept = field in LEFT_OUT  # what harms nobody is left out, and the customer comes in
    assert (report.refused, report.new, len(bank.on_file())) == (1 - kept, 1 + kept, 1 + kept)
    assert ("left out" in said) is kept


@pytest.mark.parametrize("field", ["mobile", "mail"])
@pytest.mark.parametrize("nothing", ["", "無", "-", "N/A", "沒有"])
def test_that_there_is_nothing_is_understood(bank: Bank, field: str, nothing: str) -> None:
    report = bank.customers(a_customer() | {field: nothing})

    assert (report.new, bank.said()) == (1, [])


def test_a_broken_number_leaves_the_one_on_file(bank: Bank) -> None:
    bank.customers(a_customer())

    report = bank.customers(a_customer(mobile="12"))

    assert report.unchanged == 1
    assert (
        bank.opened(bank.on_file()[0].mobile_sealed, "customers.mobile", bank.on_file()[0].id)
        == "+886912345678"
    )


def test_every_broken_field_of_a_row_is_told_and_the_row_is_counted_once(bank: Bank) -> None:
    report = bank.customers(a_customer(mobile="12", mail="?", class_="9", product="x"))

    assert [field for _, field, _ in bank.said()] == ["mobile", "mail", "product", "class"]
    assert (report.refused, report.rows) == (1, 1)


@pytest.mark.parametrize("missing", ["class", "operator"])
def test_a_product_with_roles_needs_class_and_operator(bank: Bank, missing: str) -> None:
    bank.customers(a_customer(product=CARD) | {missing: ""})

    assert bank.said() == [("line 2", missing, "is needed for cooperative-card")]


def test_what_belongs_to_a_product_needs_one(bank: Bank) -> None:
    bank.customers(a_customer(product=""))

    assert [(field, reason[:9]) for _, field, reason in bank.said()] == [("product", "is needed")]


def test_a_product_may_be_called_by_its_title(bank: Bank) -> None:
    bank.customers(a_customer(product="證券網路憑證"))

    assert [row.product for row in bank.enrolments()] == [BROWSER]


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("0912345678", "+886912345678"),
        ("912345678", "+886912345678"),  # a spreadsheet has taken the zero
        ("886912345678", "+886912345678"),
        ("+886 912-345-678", "+886912345678"),
        ("(09)1234-5678", "+886912345678"),
        ("+1 415 555 2671", "+14155552671"),
        ("+81 90-1234-5678", "+819012345678"),
    ],
)
def test_mobile_numbers_are_stored_as_e164(bank: Bank, written: str, stored: str) -> None:
    bank.customers(a_customer(mobile=written))

    (customer,) = bank.on_file()
    assert bank.opened(customer.mobile_sealed, "customers.mobile", customer.id) == stored
    assert bank.findings == []


def test_a_landline_is_kept_unmarked_and_noted(bank: Bank) -> None:
    report = bank.customers(a_customer(mobile="02-2345-6789"))

    (customer,) = bank.on_file()
    (finding,) = bank.findings
    assert bank.opened(customer.mobile_sealed, "customers.mobile", customer.id) == "+886223456789"
    assert (customer.mobile_bad, finding.refused, finding.field) == (None, False, "mobile")
    assert (report.new, report.noted) == (1, {finding.raw.reason: 1})


# --- changes ------------------------------------------------------------------------------------


def mark_bad(bank: Bank) -> None:
    with bank.store.transaction() as work:
        (customer,) = bank.on_file()
        row = work.customers.get(customer.id)
        work.customers.change(row, mobile_bad="30005", mail_bad="5.1.1")


def test_a_changed_mobile_is_a_new_contact_that_no_carrier_has_called_bad(bank: Bank) -> None:
    bank.customers(a_customer())
    mark_bad(bank)

    report = bank.customers(a_customer(mobile="0987654321"))

    (customer,) = bank.on_file()
    assert report.changed == 1
    assert bank.opened(customer.mobile_sealed, "customers.mobile", customer.id) == "+886987654321"
    assert (customer.mobile_bad, customer.mail_bad) == (None, "5.1.1")
    assert customer.contact_version == 2


def test_an_unchanged_contact_stays_bad(bank: Bank) -> None:
    bank.customers(a_customer())
    mark_bad(bank)

    bank.customers(a_customer(name="王大明"))

    (customer,) = bank.on_file()
    assert (customer.mobile_bad, customer.mail_bad) == ("30005", "5.1.1")
    assert customer.contact_version == 1
    assert bank.opened(customer.name_sealed, "customers.name", customer.id) == "王大明"


def test_an_empty_cell_takes_a_contact_away_and_an_absent_column_does_not(bank: Bank) -> None:
    bank.customers(a_customer(opted_out="yes", locale="en"))

    bank.text("reference,id_number,name,mobile,opted_out\nC00000000,A123456789,王小明,,\n")

    (customer,) = bank.on_file()
    assert (customer.mobile_sealed, customer.mobile_hash) == (None, None)
    assert bank.opened(customer.mail_sealed, "customers.mail", customer.id) == "wang@example.com"
    assert (customer.opted_out, customer.locale, customer.contact_version) == (True, "en", 2)


def test_a_changed_enrolment_is_changed(bank: Bank) -> None:
    bank.customers(a_customer())

    report = bank.customers(a_customer(branch="777", account="999", class_="3"))

    (enrolment,) = bank.enrolments()
    assert (enrolment.branch, enrolment.customer_class) == ("777", 3)
    assert (
        bank.opened(enrolment.account_sealed, "enrolments.account", enrolment.sealed_row) == "999"
    )
    assert report.changed == 1


def test_a_customer_has_a_row_for_each_product(bank: Bank) -> None:
    report = bank.customers(*(a_customer(product=name) for name in (BROWSER, TOKEN, CARD)))

    assert (report.new, report.changed) == (1, 2)
    assert len(bank.on_file()) == 1
    assert [row.product for row in bank.enrolments()] == [CARD, TOKEN, BROWSER]


def test_rows_that_contradict_each_other_are_refused_wherever_they_stand(bank: Bank) -> None:
    filler = list(customer_rows(700))[1:]
    first, later = a_customer(), a_customer(mobile="0987654321", product=CARD)

    report = bank.customers(first, *filler, later, a_customer(class_="4"))

    assert bank.said() == [
        ("line 702", "mobile", "is not what line 2 says"),
        ("line 703", "class", "is not what line 2 says"),
    ]
    assert (report.new, report.refused) == (700, 2)


def test_two_references_with_one_id_number_are_refused(bank: Bank) -> None:
    bank.customers(a_customer(), a_customer(reference="C9"))

    assert bank.said() == [("line 3", "id_number", "is that of line 2, with another reference")]


def test_an_id_number_is_never_handed_to_another_customer(bank: Bank) -> None:
    bank.customers(a_customer())

    bank.customers(a_customer(reference="C9"), a_customer(id_number="B123456780"))

    assert bank.said() == [
        ("line 2", "id_number", "is on file for another customer"),
        ("line 3", "id_number", "is not the one on file for this customer"),
    ]


def test_a_batch_that_another_came_before_is_decided_again(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank.customers(a_customer())
    whole = type(bank.store).transaction
    broken = iter([True])

    def beaten(store: object) -> object:
        if next(broken, False):
            raise ConflictError("another was first")
        return whole(store)  # type: ignore[arg-type]

    monkeypatch.setattr(type(bank.store), "transaction", beaten)
    report = bank.customers(a_customer(mobile="0987654321"))

    assert (report.changed, report.rows) == (1, 1)


def test_what_stops_a_run_leaves_whole_batches_and_the_same_file_goes_on(bank: Bank) -> None:
    rows = list(customer_rows(1400))

    def stop(done: int) -> None:
        if done >= 1000:
            raise KeyboardInterrupt

    bank.progress = type("Stopping", (list,), {"append": lambda _, done: stop(done)})()
    with pytest.raises(KeyboardInterrupt):
        bank.customers(*rows)
    left = len(bank.on_file())
    bank.progress = []
    report = bank.customers(*rows)

    assert (left, report.unchanged, report.new) == (1000, 1000, 400)


# --- files that are none ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"reference,id_number,name,fax\n", "unknown column 'fax'"),
        (b"reference,id_number\n", "the column 'name' is missing"),
        (b"reference,id_number,name,phone,mobile\n", "the column 'mobile' is there twice"),
        (b"C1,A123456789,WANG\n", "is no heading"),
        (b'reference,"id_number,name\n', "line 1"),
        (b"PK\x03\x04" + b"0" * 99, "Excel workbook or a ZIP archive"),
        (b"\x1f\x8b\x08" + b"0" * 99, "compressed"),
        ("reference,id_number,name\n".encode("utf-16"), "UTF-16"),
        (b"r" * 100_000, "too long"),
        (b"refer\0ence,id_number,name\n", "NUL"),
    ],
)
def test_a_file_that_is_no_table_of_customers_is_refused_by_name(
    bank: Bank, content: bytes, reason: str
) -> None:
    with pytest.raises(ImportFileError) as caught:
        bank.text(content)

    said = f"{caught.value.about}: {text(caught.value.reason, 'en')}"
    assert "customers.csv: " in said
    assert reason in said
    assert "A123456789" not in said


def test_a_file_that_cannot_be_read_is_named_with_the_reason(bank: Bank) -> None:
    os.mkfifo(bank.folder / "pipe.csv")

    for name, reason in (
        ("none.csv", "cannot be read: there is no such file"),
        ("db", "it is a folder"),
        ("pipe.csv", "is no regular file"),
    ):
        with refused(ImportFileError, reason):
            bank.file(bank.folder / name)


def test_what_is_broken_in_a_line_swallows_no_other(bank: Bank) -> None:
    lines = [
        b"reference,id_number,name",
        b'C1,A123456707,"Wang',  # a quote that is never closed
        b"C2,A123456716,Li",
        b"C3,A123456783",  # a cell too few
        b"C4,A123456784,Chen,more",
        b"C5,A123456785,\0",
        b"C6,A123456786," + b"x" * 100_000,
        b"",
        b",,",
        b'C7,A123456787,"Li"x',
        b"C8,A123456789,Lin",
    ]

    report = bank.text(b"\n".join(lines))

    assert bank.said() == [
        ("line 2", "", "a quote is opened and not closed"),
        ("line 4", "", "has 2 cells, the heading 3"),
        ("line 5", "", "has 4 cells, the heading 3"),
        ("line 6", "", "the line holds a NUL byte"),
        ("line 7", "", "the line is too long"),
        ("line 10", "", "a quote is closed in the middle of a cell"),
    ]
    assert (report.new, report.refused, report.rows) == (2, 6, 8)


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    garbage=st.one_of(
        st.binary(max_size=300),
        st.lists(
            st.lists(st.text(max_size=12) | st.sampled_from(['"', "\0", "0912345678"]), max_size=13)
        ).map(lambda rows: "\n".join(",".join(row) for row in rows).encode(errors="replace")),
    )
)
def test_no_garbage_breaks_the_run_or_gets_lost(bank: Bank, garbage: bytes) -> None:
    heading = ",".join(HEADING).encode() + b"\n"
    bank.findings.clear()

    report = bank.text(heading + garbage, dry_run=True)

    refused = {finding.place for finding in bank.findings if finding.refused}
    assert report.refused == len(refused)
    assert report.rows <= garbage.count(b"\n") + 1


# --- kept safe ----------------------------------------------------------------------------------


def test_nothing_personal_is_in_the_report_or_in_clear_in_the_database(
    bank: Bank, tmp_path: Path
) -> None:
    canaries = [
        "Z198765432",
        "奧德賽",
        "0987123987",
        "987123987",
        "canary7@example.com",
        "77700112233",
    ]
    good = a_customer(
        id_number=canaries[0],
        name=canaries[1],
        mobile=canaries[2],
        mail=canaries[4],
        account=canaries[5],
        reference="CANARY-REF",
    )
    bad = [good | {"reference": f"CANARY-REF{at}", name: "?"} for at, name in enumerate(HEADING)]

    report = bank.customers(good, *bad, good | {"name": "奧德賽二"})
    with FindingsFile(tmp_path / "found.csv", "en") as write:
        for finding in bank.findings:
            write(finding.raw)

    written = (tmp_path / "found.csv").read_text(encoding="utf-8-sig") + repr(report)
    bank.store.engine.dispose()
    stored = b"".join(path.read_bytes() for path in (tmp_path / "db").iterdir())
    assert report.refused >= len(HEADING)
    for canary in (*canaries, "CANARY-REF"):
        assert canary not in written
        assert canary.encode() not in stored


def test_the_file_of_findings_runs_in_no_spreadsheet_and_only_its_owner_reads_it(
    bank: Bank, tmp_path: Path
) -> None:
    rows = [a_customer(mobile="1")]
    bank.file(write_customers(tmp_path / "=1+1.csv", rows))

    for name in ("found.csv", "found.jsonl"):
        with FindingsFile(tmp_path / name, "en") as write:
            write(bank.findings[0].raw)

    table = (tmp_path / "found.csv").read_text(encoding="utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(table))
    line = json.loads((tmp_path / "found.jsonl").read_text())
    assert (row["file"], row["place"], row["outcome"]) == ("'=1+1.csv", "line 2", "noted")
    assert (line["file"], line["field"]) == ("=1+1.csv", "mobile")
    assert (tmp_path / "found.csv").stat().st_mode & 0o777 == 0o600


# --- many ---------------------------------------------------------------------------------------


def test_memory_does_not_grow_with_the_number_of_bad_rows(bank: Bank) -> None:
    def bad(count: int) -> Iterator[dict[str, str]]:
        return ({**row, "mobile": "02123", "id_number": ""} for row in customer_rows(count))

    bank.findings = type("Nowhere", (list,), {"append": lambda _, __: None})()
    small = write_customers(bank.folder / "small.csv", bad(1_000))
    large = write_customers(bank.folder / "large.csv", bad(30_000))

    bank.file(small)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = bank.file(large)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    assert report.refused == 30_000
    assert after - before < 4 << 10  # KiB


def test_a_batch_is_one_transaction_with_a_few_statements(bank: Bank) -> None:
    asked: list[str] = []
    sa.event.listen(bank.store.engine, "before_cursor_execute", lambda *call: asked.append(call[2]))

    bank.customers(*customer_rows(1500))

    assert sum(statement.startswith("BEGIN") for statement in asked) == 3
    assert len(asked) <= 3 * 8


@pytest.mark.parametrize(
    ("class_", "operator", "noted"),
    [
        ("2", "only user", []),
        ("3", "Administrator", []),
        ("2", "admin", ["operator"]),
        ("2", "SUPER001", ["operator"]),
    ],
)
def test_a_role_that_may_not_renew_is_noted(
    bank: Bank, class_: str, operator: str, noted: list[str]
) -> None:
    report = bank.customers(a_customer(product=CARD, class_=class_, operator=operator))

    assert report.new == 1
    assert [finding.field for finding in bank.findings if not finding.refused] == noted


def test_a_class_that_is_none_is_one_finding(bank: Bank) -> None:
    report = bank.customers(a_customer(product=CARD, class_="5"))

    assert report.refused == 1
    assert [finding.field for finding in bank.findings] == ["class"]
