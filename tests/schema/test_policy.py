"""A policy file says all that a product promises, or is refused with the place and the reason."""

from __future__ import annotations

import re
from datetime import date
from importlib.resources import files
from typing import TYPE_CHECKING

import msgspec
import pytest

from schema.policy import Policy, PolicyError, load_policies, read_policy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BROWSER = "securities-browser.toml"
CORPORATE = "corporate-token.toml"
CARD = "cooperative-card.toml"

#: file, what is written there, what is written instead, the field that is named, why
BROKEN = [
    (BROWSER, 'product = "securities-browser"', 'product = "other"', "product", "file's name"),
    (BROWSER, 'product = "securities-browser"', 'product = "../x"', "product", "regex"),
    (BROWSER, 'storage = "browser"', 'storage = "cloud"', "storage", "cloud"),
    (BROWSER, 'slot = "customer"', 'slot = "token"', "slot", "lives in the browser"),
    (BROWSER, 'slot = "customer"', 'slot = "account"', "slot", "account"),
    (BROWSER, 'profile = "signing"', 'profile = "/etc/passwd"', "profile", "regex"),
    (BROWSER, 'old = "revoke"', 'old = "forget"', "old", "forget"),
    (CORPORATE, 'old = "keep"', 'old = "revoke"', "old", "before the new one starts"),
    (BROWSER, "[30, 14, 7, 3, 1, 0, -1, -14, -27]", "[]", "ladder", "length >= 1"),
    (BROWSER, "[30, 14, 7, 3, 1, 0, -1, -14, -27]", "[7, 14]", "ladder", "strictly descending"),
    (BROWSER, "[30, 14, 7, 3, 1, 0, -1, -14, -27]", "[7, 7]", "ladder", "strictly descending"),
    (BROWSER, "[30, 14, 7, 3, 1, 0, -1, -14, -27]", "[7, 1.5]", "ladder[1]", "`int`"),
    (BROWSER, "[1, 3, 7]", "[7, 3]", "collect_ladder", "strictly ascending"),
    (BROWSER, "[1, 3, 7]", "[0, 3]", "collect_ladder[0]", ">= 1"),
    (BROWSER, "[1, 3, 7]", "[1, 14]", "collect_ladder", "before abandon_after_days"),
    (BROWSER, '["sms", "mail"]', '["sms", "fax"]', "channels[1]", "fax"),
    (BROWSER, '["sms", "mail"]', '["sms", "sms"]', "channels", "twice"),
    (BROWSER, '["sms", "mail"]', "[]", "channels", "length >= 1"),
    (BROWSER, "abandon_after_days = 14", "abandon_after_days = 0", "abandon_after_days", ">= 1"),
    (
        BROWSER,
        "online_revocations_per_year = 2",
        "online_revocations_per_year = -1",
        "online_revocations_per_year",
        ">= 0",
    ),
    (CARD, "statement = true", 'statement = "yes"', "statement", "`bool`"),
    (
        CARD,
        "statement = true",
        "statement = true\nbranch_recording_days = 0",
        "branch_recording_days",
        ">= 1",
    ),
    (BROWSER, 'zh = "證券網路憑證"', 'zh = ""', "title.zh", "length >= 1"),
    (BROWSER, 'en = "Securities certificate in the browser"', "en = 1", "title.en", "`str`"),
    (BROWSER, "before_days = 30", "before_days = 0", "window.before_days", ">= 1"),
    (BROWSER, "before_days = 30", 'before_days = "30"', "window.before_days", "`int`"),
    (BROWSER, "after_days = 30", "after_days = -1", "window.after_days", ">= 0"),
    (BROWSER, 'by = "code"', 'by = "smile"', "confirm.by", "smile"),
    (BROWSER, 'by = "code"', 'by = "token"', "confirm.by", "lives in the browser"),
    (CARD, 'by = "token"', 'by = "code"', "confirm.code", "is missing"),
    (
        CORPORATE,
        "release_password = true",
        "code = { seconds = 60, tries = 3 }",
        "confirm.code",
        "the token confirms",
    ),
    (BROWSER, "release_password = false", "release_password = 0", "confirm.release_password", "`"),
    (BROWSER, "present_key = true", 'present_key = "yes"', "confirm.present_key", "`bool`"),
    (CARD, '3 = "administrator"', "3 = 1", "confirm.operators[...]", "`str`"),
    (CARD, '3 = "administrator"', '3 = ""', "confirm.operators[...]", "length >= 1"),
    (BROWSER, "digits = 4", "digits = 3", "confirm.code.digits", ">= 4"),
    (BROWSER, "seconds = 60", "seconds = 601", "confirm.code.seconds", "<= 600"),
    (BROWSER, "tries = 3", "tries = 6", "confirm.code.tries", "<= 5"),
    (BROWSER, '["apply"]', '["pay"]', "confirm.code.mail_too_for[0]", "pay"),
    (BROWSER, '["apply"]', '["apply", "apply"]', "confirm.code.mail_too_for", "twice"),
    (BROWSER, "[apply]", "[apply]\noperators = 1", "apply.operators", "`object`"),
    (CARD, "[validity]", "[apply]\n[validity]", "apply", "handed out at the branch"),
    (
        BROWSER,
        'how = "none"',
        'how = "prepaid"\nlevels = [{ from = 2020-01-01, amount = 900 }]',
        "apply",
        "is paid before",
    ),
    (BROWSER, 'how = "none"', 'how = "gift"', "fee.how", "gift"),
    (CARD, 'how = "hold"', 'how = "none"', "fee.levels", "there is no fee"),
    (BROWSER, 'how = "none"', 'how = "hold"', "fee.levels", "are missing"),
    (CARD, "amount = 900 }", "amount = 900.5 }", "fee.levels[0].amount", "`int`"),
    (CARD, "amount = 900 }", "amount = -1 }", "fee.levels[0].amount", ">= 1"),
    (CARD, "from = 2020-01-01", 'from = "soon"', "fee.levels[0].from", "date"),
    (
        CARD,
        "amount = 900 }",
        "amount = 900 }, { from = 2020-01-01, amount = 950 }",
        "fee.levels",
        "each date once",
    ),
    (CARD, "years = 2", "years = 0", "validity.years", ">= 1"),
    (CARD, 'starts = "success"', 'starts = "today"', "validity.starts", "today"),
    (CARD, 'starts = "success"', 'starts = "old end"', "validity.carry_over", "twice"),
    (CARD, "carry_over = true", "carry_over = 1", "validity.carry_over", "`bool`"),
]


def shipped(file: str) -> str:
    return files("schema").joinpath("policies", file).read_text(encoding="utf-8")


def fields_of(struct: type, path: str = "") -> Iterator[str]:
    for field in msgspec.inspect.type_info(struct).fields:  # type: ignore[attr-defined]
        name = f"{path}{field.encode_name}"
        yield name
        inner = [field.type, *getattr(field.type, "types", ())]
        inner += [getattr(kind, "item_type", None) for kind in inner]
        for kind in inner:
            if isinstance(kind, msgspec.inspect.StructType):
                yield from fields_of(kind.cls, f"{name}.")


@pytest.mark.parametrize(("file", "good", "bad", "field", "why"), BROKEN)
def test_a_broken_field_is_named_with_its_file_and_the_reason(
    *, tmp_path: Path, file: str, good: str, bad: str, field: str, why: str
) -> None:
    text = shipped(file)
    assert text.count(good) == 1
    (tmp_path / file).write_text(text.replace(good, bad), encoding="utf-8")

    with pytest.raises(PolicyError) as caught:
        load_policies(tmp_path)

    assert caught.value.file == file
    assert caught.value.field == field
    assert why in caught.value.reason
    assert str(caught.value) == f"{file}: {field}: {caught.value.reason}"


def test_no_field_is_left_out_of_the_broken_ones() -> None:
    broken = {re.sub(r"\[.+?\]", "", field) for _, _, _, field, _ in BROKEN}
    parents = {"title", "window", "confirm", "apply", "fee", "validity"}

    assert set(fields_of(Policy)) - parents == broken - parents


@pytest.mark.parametrize("file", [BROWSER, CORPORATE, CARD])
def test_every_line_that_is_left_out_is_missed_or_has_a_default(file: str) -> None:
    lines = shipped(file).splitlines()
    for number, line in enumerate(lines):
        key = line.partition("=")[0].strip()
        if "=" not in line or line.startswith("#"):
            continue

        rest = "\n".join(lines[:number] + lines[number + 1 :]).encode()

        try:
            read_policy(file, rest)
        except PolicyError as error:
            assert key in f"{error.field} {error.reason}"  # noqa: PT017 - some have a default
        else:
            assert key in {
                "online_revocations_per_year",
                "statement",
                "carry_over",
                "release_password",
                "present_key",
                "mail_too_for",
                "digits",
                *"234",
            }


@pytest.mark.parametrize(
    ("at", "field"),
    [("", "grace"), ("[window]", "window.grace"), ("[confirm.code]", "confirm.code.grace")],
)
def test_a_field_that_is_not_known_is_refused(at: str, field: str) -> None:
    text = "grace = 1\n" + shipped(BROWSER)
    if at:
        text = shipped(BROWSER).replace(at, f"{at}\ngrace = 1")

    with pytest.raises(PolicyError, match="unknown field") as caught:
        read_policy(BROWSER, text.encode())

    assert caught.value.field == field


@pytest.mark.parametrize("content", [b"product = ", b"\xff\xfe", b"a = 1\na = 2"])
def test_a_file_that_is_no_toml_is_refused_by_name(content: bytes) -> None:
    with pytest.raises(PolicyError, match="is no TOML") as caught:
        read_policy(BROWSER, content)

    assert caught.value.file == BROWSER


def test_an_empty_folder_and_a_missing_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="holds no policy"):
        load_policies(tmp_path)
    with pytest.raises(PolicyError, match="no such folder"):
        load_policies(tmp_path / "none")


def test_an_installation_may_bring_its_own_products(tmp_path: Path) -> None:
    text = shipped(BROWSER).replace('product = "securities-browser"', 'product = "our-own"')
    (tmp_path / "our-own.toml").write_text(text.replace("digits = 4", ""), encoding="utf-8")

    policies = load_policies(tmp_path)

    assert list(policies) == ["our-own"]
    code = policies["our-own"].confirm.code
    assert code is not None
    assert code.digits == 6  # NIST SP 800-63B-4: at least six, where the product says nothing


@pytest.mark.shows("B03")
@pytest.mark.shows("B08")
@pytest.mark.shows("B09")
@pytest.mark.shows("B10")
@pytest.mark.shows("B17")
def test_the_securities_firm_promises_what_its_manual_says() -> None:
    policy = load_policies()["securities-browser"]

    assert policy.slot == "customer"
    assert policy.old == "revoke"
    assert policy.confirm.code is not None
    assert (policy.confirm.code.seconds, policy.confirm.code.tries) == (60, 3)
    assert policy.confirm.code.mail_too_for == ("apply",)
    assert policy.online_revocations_per_year is not None
    assert policy.fee.how == "none"
    assert policy.ladder == (30, 14, 7, 3, 1, 0, -1, -14, -27)


@pytest.mark.shows("A02")
@pytest.mark.shows("A13")
def test_the_corporate_token_promises_what_its_manual_says() -> None:
    policy = load_policies()["corporate-token"]

    assert (policy.storage, policy.slot, policy.old) == ("token", "token", "keep")
    assert (policy.window.before_days, policy.window.after_days) == (30, 0)
    assert policy.confirm.by == "token"
    assert policy.confirm.release_password
    assert policy.fee.how == "prepaid"
    assert policy.validity.starts == "old end"
    assert policy.ladder == (60, 30, 14, 7, 3, 1, 0, -1)


@pytest.mark.shows("C02")
@pytest.mark.shows("C05")
@pytest.mark.shows("C11")
def test_the_cooperative_card_promises_what_its_manual_says() -> None:
    policy = load_policies()["cooperative-card"]

    assert (policy.storage, policy.slot, policy.old) == ("card", "token", "keep")
    assert policy.confirm.operators == {"2": "only user", "3": "administrator", "4": "SUPER001"}
    assert policy.validity.years == 2
    assert policy.validity.carry_over
    assert policy.fee.how == "hold"
    assert policy.fee.levels[0].since == date(2020, 1, 1)
    assert policy.statement
    assert policy.ladder == (30, 14, 7, 3, 1, 0, -1)
