"""Shows that a bank's own wording goes before that shipped, and no upgrade breaks it unseen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from templates import overrides
from templates.bank_file import sample_bank
from templates.contexts import CodeMessage
from templates.overrides import check_overrides, mark_of, shipped, with_mark
from templates.rendering import MessageRenderer

if TYPE_CHECKING:
    from pathlib import Path

NAME = "code/sms.zh-TW.txt"
CODE = CodeMessage(code="4930", action="renew", seconds=60, masked_to="")  # type: ignore[arg-type]
OWN = '{% extends "_base/sms.zh-TW.txt" %}\n{% block text %}密碼{{ facts.code }}{% endblock %}\n'
MARK = f"{{# fields {mark_of('code')} #}}\n"
WRONG = {
    "a name that nothing has": ("code/text.txt", MARK + OWN, "stands in for no wording"),
    "no mark": (NAME, OWN, "names no fields; they are"),
    "the mark of other fields": (NAME, "{# fields 00000000 #}\n" + OWN, "was written for other"),
    "a field gone": (NAME, MARK + OWN.replace("code }}", "pin }}"), "facts.pin is no field"),
    "of the bank": (NAME, MARK + OWN.replace("facts.code", "bank.fax"), "bank.fax is no field"),
    "a broken line": (NAME, MARK + OWN.replace("{% endblock %}", "{% endblok %}"), "endblok"),
    "markup of customers": (NAME, MARK + OWN.replace("code }}", "code|safe }}"), "escaping off"),
}  # fmt: skip


def written(folder: Path, name: str, source: str) -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(source, encoding="utf-8")
    return folder


def test_own_wording_goes_before_that_shipped(tmp_path: Path) -> None:
    folder = written(tmp_path, NAME, MARK + OWN)

    voice = MessageRenderer(sample_bank(), folder)

    assert check_overrides(folder) == []
    assert voice.sms(CODE, "zh-TW") == "【續期銀行】密碼4930"
    assert voice.sms(CODE, "en").startswith("(Xuqi Bank) Code 4930")


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_wording_is_a_draft_that_is_taken(tmp_path: Path, name: str) -> None:
    draft = with_mark(name, shipped()[name].read_text(encoding="utf-8"))

    assert check_overrides(written(tmp_path, name, draft)) == []


@pytest.mark.parametrize(("name", "source", "why"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_used_is_named_with_what_to_do(
    tmp_path: Path, name: str, source: str, why: str
) -> None:
    [wrong] = check_overrides(written(tmp_path, name, source))

    assert wrong.file == f"messages/{name}"
    assert why in wrong.reason
    assert wrong.todo


def test_an_upgrade_that_gives_a_message_other_fields_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = written(tmp_path, NAME, MARK + OWN)
    before = overrides.fields_of("code")

    monkeypatch.setattr(overrides, "fields_of", lambda _: before | {"minutes"})

    [wrong] = check_overrides(folder)
    assert "was written for other fields" in wrong.reason
    assert f"xuqi bank wording {NAME}" in wrong.todo
