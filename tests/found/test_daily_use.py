"""Holds what a bank's certificate desk met on its first two days: imports, policies, outputs."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest
from msgspec import UNSET

from back_office.imports.customer_row import LEFT_OUT, CustomerRow, read_customer
from back_office.imports.sample import customer_rows, write_customers
from renewal.rules.policies import Policies
from schema.policy import load_policies
from tests.back_office.imports.making import DAY, NOON, a_customer, certificate, pem
from tests.scenario.acts import SESSION
from tests.scenario.sample import BROWSER as BROWSER_CERTIFICATE
from tests.xuqi import sample
from tests.xuqi.sample import BROWSER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.back_office.imports.making import Bank as Imports
    from tests.scenario.scenario import Scenario
    from tests.xuqi.sample import Bank


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Bank]:
    """A bank with one customer who keeps a certificate in the browser, due in 18 days."""
    with sample.opened(tmp_path / "bank") as opened:
        opened.browser()
        yield opened


# --- m10: a code as people type it ----------------------------------------------------------------

WAYS: dict[str, Callable[[str], str]] = {
    "a blank behind": lambda code: code + " ",
    "a blank before": lambda code: " " + code,
    "a blank within": lambda code: code[:2] + " " + code[2:],
    "a hyphen": lambda code: code[:2] + "-" + code[2:],
    "full width": lambda code: "".join(chr(ord(digit) + 0xFEE0) for digit in code),
    "a blank that does not break": lambda code: code + "\u00a0",
    "an ideographic blank": lambda code: code + "\u3000",
    "a sign of no width": lambda code: "\u200b" + code,
    "a mark of direction": lambda code: f"\u2066{code}\u2069",
    "a line break": lambda code: code + "\r\n",
    "a dash of another kind": lambda code: code[:2] + "\u2013" + code[2:],
}


def _entered(world: Scenario, challenge: str, code: str) -> tuple[str, int]:
    answer = world.centre.enter_code(
        challenge, code, session=SESSION, action="renew", certificate=BROWSER_CERTIFICATE
    )
    return answer.result.value, answer.tries_left


@pytest.mark.parametrize("way", [pytest.param(it, id=id_) for id_, it in WAYS.items()])
def test_the_right_code_is_right_however_it_is_typed(
    world: Scenario, way: Callable[[str], str]
) -> None:
    sent, code = world.code()

    assert _entered(world, sent.challenge, way(code))[0] == "right"


@pytest.mark.parametrize("text", ["", "12", "abcd", "12345678901234567890", "\udca2\udcaf"])
def test_what_cannot_be_a_code_costs_no_try(world: Scenario, text: str) -> None:
    sent, code = world.code()

    said, left = _entered(world, sent.challenge, text)

    assert (said, left) == ("wrong", 3)
    assert _entered(world, sent.challenge, code)[0] == "right"


# --- F15: a column that is empty by mistake -------------------------------------------------------


def _export(home: Bank, **changed: str) -> Path:
    rows = [
        a_customer(
            reference=f"C{number:03d}",
            id_number=f"A1{number:08d}",
            mobile=f"0912{number:06d}",
            mail=f"c{number}@example.com",
        )
        | changed
        for number in range(50)
    ]
    return write_customers(home.home.parent / "customers.csv", rows)


def test_a_dry_run_says_what_would_change(home: Bank) -> None:
    home.run("import", "customers", str(_export(home)))

    result = home.run("import", "customers", str(_export(home, mobile="")), "--dry-run")

    assert re.search(r"50 .*mobile.*(taken away|removed)", result.output)


def test_a_mass_change_wants_a_yes_with_its_number(home: Bank) -> None:
    home.run("import", "customers", str(_export(home)))
    emptied = str(_export(home, mobile=""))

    refused = home.run("import", "customers", emptied)
    agreed = home.run("import", "customers", emptied, "--yes-change", "50")

    assert (refused.exit_code, agreed.exit_code) == (1, 0)
    assert "--yes-change 50" in refused.output


def test_one_number_for_many_customers_is_noted(home: Bank) -> None:
    pasted = str(_export(home, mobile="0912345678"))

    refused = home.run("import", "customers", pasted)
    agreed = home.run("import", "customers", pasted, "--yes-change", "50")

    assert (refused.exit_code, agreed.exit_code) == (1, 0)
    assert re.search(r"same number .*50 customers.*--yes-change 50", refused.output)
    assert re.search(r"49 × is the same number .*shared by several", agreed.output)


def test_a_number_that_somebody_on_file_has_is_noted(home: Bank) -> None:
    one, other = customer_rows(2)
    file = home.home.parent / "customers.csv"
    home.run("import", "customers", str(write_customers(file, [one])))
    theirs = other | {"mobile": one["mobile"]}

    result = home.run("import", "customers", str(write_customers(file, [theirs])))

    assert "1 × is the same number" in result.output


def test_an_accountants_number_wants_no_second_yes(home: Bank) -> None:
    same = str(_export(home, mail="books@accountant.example"))
    home.run("import", "customers", same, "--yes-change", "50")

    again = home.run("import", "customers", same)

    assert (again.exit_code, "shared" in again.output) == (0, False)


def test_the_bank_says_how_many_may_share_a_number(home: Bank) -> None:
    home.environment["XUQI_SHARED_CONTACTS"] = "50"

    result = home.run("import", "customers", str(_export(home, mobile="0912345678")))

    assert result.exit_code == 0


@pytest.mark.parametrize(("rows", "exit_code"), [(5, 1), (2, 0)])
def test_a_column_that_is_empty_for_everybody_wants_a_yes(
    home: Bank, rows: int, exit_code: int
) -> None:
    file, people = home.home.parent / "customers.csv", list(customer_rows(rows))
    home.run("import", "customers", str(write_customers(file, people)))
    emptied = [row | {"mail": ""} for row in people]

    result = home.run("import", "customers", str(write_customers(file, emptied)))

    assert result.exit_code == exit_code
    assert (f"--yes-change {rows}" in result.output) is bool(exit_code)


@pytest.mark.parametrize(("rows", "exit_code"), [(8, 1), (4, 0)])
def test_numbers_that_slipped_by_a_row_want_a_yes(home: Bank, rows: int, exit_code: int) -> None:
    file, people = home.home.parent / "customers.csv", list(customer_rows(rows))
    numbers = [f"09{number:08}" for number in range(rows)]
    own = [row | {"mobile": number} for row, number in zip(people, numbers, strict=True)]
    home.run("import", "customers", str(write_customers(file, own)))
    slipped = numbers[1:] + numbers[:1]
    theirs = [row | {"mobile": number} for row, number in zip(people, slipped, strict=True)]

    result = home.run("import", "customers", str(write_customers(file, theirs)))

    assert result.exit_code == exit_code
    assert (f"--yes-change {rows}" in result.output) is bool(exit_code)


# --- m10 and siblings: fields as people type them -------------------------------------------------

POLICIES = Policies(load_policies())
TYPED = {
    "mobile": (
        "+886912345678",
        ("0912–345–678", "tel:0912345678", "0912345678;", "+886 (0)912 345 678", "0912345678、"),
    ),
    "mail": (
        "wang@example.com",
        (
            "wang@example.com.",
            "mailto:wang@example.com",
            "<wang@example.com>",
            "王小明 <wang@example.com>",
            "wang@example.com;",
            "wang＠example．com",
        ),
    ),
    "id_number": (
        "A123456789",
        ("A-123456789", "A 123456789", "a123456789", "Ａ１２３４５６７８９", "A123456789\u200b"),
    ),
    "locale": ("en", ("en_US", "English", "英語")),
    "opted_out": (True, ("v", "✓", "Ｙ", "是", "TRUE")),
}


@pytest.mark.parametrize(
    ("field", "written", "meant"),
    [(field, one, meant) for field, (meant, ways) in TYPED.items() for one in ways],
)
def test_a_field_is_taken_as_people_write_it(field: str, written: str, meant: object) -> None:
    row = read_customer(2, a_customer() | {field: written}, POLICIES)

    assert isinstance(row, CustomerRow), row
    assert getattr(row, field) == meant
    assert row.notes == ()


@pytest.mark.parametrize("field", sorted(LEFT_OUT - {"branch", "account"}))
def test_a_field_that_nobody_can_read_never_refuses_the_customer(field: str) -> None:
    row = read_customer(2, a_customer() | {field: "?!"}, POLICIES)

    assert isinstance(row, CustomerRow), row
    assert getattr(row, field) is UNSET
    assert [name for name, _ in row.notes] == [field]


# --- F14: what to hand in -------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["customers", "certificates"])
def test_an_example_can_be_written_and_comes_in(home: Bank, what: str) -> None:
    example = home.run("import", what, "--example")
    path = home.home.parent / "example.csv"
    path.write_text(example.stdout)

    result = home.run("import", what, str(path), "--dry-run")

    assert example.exit_code == 0
    assert "no heading" not in result.output
    assert "unknown column" not in result.output


def test_a_certificate_that_cannot_be_placed_says_what_to_do(imports: Imports) -> None:
    imports.pem(certificate("MOICA card holder"), product=None)

    assert any("--product" in finding.reason for finding in imports.findings)


@pytest.fixture
def imports(bank: Imports) -> Imports:
    return bank


# --- F10, F17: policies ---------------------------------------------------------------------------


def _policies(home: Bank, product: str, old: str, new: str) -> Path:
    folder = home.home.parent / "policies"
    folder.mkdir(exist_ok=True)
    for file in files("schema").joinpath("policies").iterdir():
        if file.name.endswith(".toml"):
            text = file.read_text(encoding="utf-8")
            changed = text.replace(old, new) if file.name == f"{product}.toml" else text
            (folder / file.name).write_text(changed, encoding="utf-8")
    return folder


def test_a_changed_ladder_reaches_the_certificates_on_file(home: Bank) -> None:
    home.json("scan")
    home.drain()
    before = home.json("why", str(BROWSER))["remind_at"]
    folder = _policies(home, "securities-browser", "ladder = [30, 14,", "ladder = [30, 17, 14,")
    home.environment["XUQI_POLICIES"] = str(folder)

    dry = home.json("policies", "apply", "--dry-run")
    done = home.json("policies", "apply", "--who", "a", "--why", "b")
    after = home.json("policies", "apply", "--dry-run")

    assert (dry["changed"], done["changed"], after["changed"]) == (1, 1, 0)
    assert home.json("why", str(BROWSER))["remind_at"] < before


def test_a_profile_that_no_ca_has_is_refused_at_the_start(home: Bank) -> None:
    folder = _policies(home, "securities-browser", 'profile = "signing"', 'profile = "mybank"')
    home.environment["XUQI_POLICIES"] = str(folder)

    result = home.run("renewals", "start", str(BROWSER), "--who", "a", "--why", "b")

    assert result.exit_code == 2
    assert "mybank" in result.stderr
    assert "signing" in result.stderr


# --- F19: what an import supersedes ---------------------------------------------------------------


def test_what_an_import_supersedes_is_no_violation(home: Bank) -> None:
    write_customers(home.home.parent / "c.csv", [a_customer()])
    home.run("import", "customers", str(home.home.parent / "c.csv"))
    folder = home.home.parent / "certs"
    folder.mkdir()
    (folder / "one.pem").write_bytes(pem(certificate(not_before=sample.MONDAY - 300 * DAY)))
    first = home.run("import", "certificates", str(folder), "--unverified")
    (folder / "two.pem").write_bytes(
        pem(certificate(not_before=sample.MONDAY - DAY, not_after=NOON + 300 * DAY))
    )
    second = home.run("import", "certificates", str(folder), "--unverified")

    checked = home.run("check")

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "1 superseded" in second.stdout
    assert checked.exit_code == 0, checked.output


# --- F23: options that would be ignored -----------------------------------------------------------


@pytest.mark.parametrize("option", ["--csr", "--terms"])
def test_a_request_without_its_renewal_is_a_usage_error(
    home: Bank, tmp_path: Path, option: str
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x")

    result = home.run("code", "enter", "K1", str(BROWSER), option, str(file), typed="1234\n")

    assert result.exit_code == 2
    assert "--renewal" in result.stderr


# --- F25: filters ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (("renewals", "list", "--state", "xyz"), "requested"),
        (("certificates", "list", "--state", "xyz"), "active"),
        (("certificates", "list", "--product", "nope"), "securities-browser"),
        (("messages", "list", "--state", "xyz"), "delivered"),
        (("dead-letters", "list", "--consumer", "nope"), "billing"),
    ],
)
def test_a_filter_that_there_is_not_names_those_that_there_are(
    home: Bank, args: tuple[str, ...], word: str
) -> None:
    result = home.run(*args)

    assert result.exit_code == 2
    assert word in result.stderr


def test_a_filter_is_taken_in_the_language_of_the_list(home: Bank) -> None:
    result = home.run("certificates", "list", "--state", "使用中", lang="zh-TW")

    assert "使用中" in result.stdout
    assert str(BROWSER) in result.stdout


# --- F32: a check digit that does not fit ---------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "noted"),
    [("A123456789", 0), ("A123456788", 1), ("A900000017", 1), ("22099132", 1), ("P1234567", 0)],
)
def test_a_mistyped_id_number_is_noted_and_its_customer_comes_in(
    home: Bank, number: str, noted: int
) -> None:
    rows = [a_customer(id_number=number)]
    file = str(write_customers(home.home.parent / "customers.csv", rows))

    result = home.run("import", "customers", file, "--json")

    read = json.loads(result.stdout)
    assert (result.exit_code, read["new"]) == (0, 1)
    assert read["noted"].get("finding_id_check_digit", 0) == noted
    assert number not in result.output
