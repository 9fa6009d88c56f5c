"""Shows the bank's own data at the command: written, shown, checked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from renewal.clock import SystemClock
from templates import extremes
from templates.contexts import Action, CodeMessage
from templates.overrides import mark_of
from xuqi.cli.context import CliContext
from xuqi.cli.main import xuqi

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

CODE = "code/sms.zh-TW.txt"


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them are written by tests/templates/test_extremes.py."""
    code = CodeMessage(
        code="9999999999", action=Action.RENEW, seconds=36_000, masked_to="c***n@x.tw"
    )
    monkeypatch.setattr(
        "xuqi.message_trial.everything", lambda: [code, *list(extremes.reminders())[:9]]
    )


def run(home: Path, *args: str) -> Result:
    context = CliContext(home=home, clock=SystemClock(), environment={})
    return CliRunner().invoke(xuqi, ["--lang", "en", *args], obj=context, catch_exceptions=False)


def own(home: Path) -> Path:
    """A folder with nothing of the invented bank left in it."""
    assert run(home, "bank", "init").exit_code == 0
    file = home / "bank" / "bank.toml"
    told = file.read_text(encoding="utf-8").replace("續期銀行", "凱達商銀")
    told = told.replace("Xuqi Bank", "Kaida").replace("2345-6789", "8765-4321")
    file.write_text(told, encoding="utf-8")
    return file


def test_the_sample_is_written_once_and_is_not_yet_a_banks_own(tmp_path: Path) -> None:
    first, second = run(tmp_path, "bank", "init"), run(tmp_path, "bank", "init")
    checked = run(tmp_path, "bank", "check")

    assert "bank.toml is written" in first.output
    assert second.exit_code == 2
    assert "nothing is written" in second.stderr
    assert checked.exit_code == 1
    assert "still the invented bank's: name.zh, name.en" in checked.stderr


def test_a_banks_own_data_pass_and_each_message_is_measured(tmp_path: Path) -> None:
    own(tmp_path)

    checked = run(tmp_path, "bank", "check")

    assert checked.exit_code == 0, checked.output
    assert re.search(r"^code +zh-TW +1 +[0-9]+$", checked.stdout, re.MULTILINE)
    assert "contact.phone       02-8765-4321" in run(tmp_path, "bank", "show").stdout


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("密碼{{ facts.code }}" + "長" * 70, "has 2 segments, and 1 is the most"),
        ("密碼{{ facts.code }} bit.ly/x", "carries a link"),
        ("請看信件", "does not show the code"),
    ],
)
def test_a_wording_that_a_carrier_does_not_take_is_named(
    tmp_path: Path, text: str, why: str
) -> None:
    file = own(tmp_path).parent / "messages" / CODE
    file.parent.mkdir(parents=True)
    base = '{% extends "_base/sms.zh-TW.txt" %}{% block text %}'
    mark = f"{{# fields {mark_of('code')} #}}\n"
    file.write_text(f"{mark}{base}{text}{{% endblock %}}", encoding="utf-8")

    checked = run(tmp_path, "bank", "check")

    assert checked.exit_code == 1
    assert f"messages/code:sms.zh-TW: {why}" in checked.stdout


def test_what_would_do_nothing_is_refused(tmp_path: Path) -> None:
    file = own(tmp_path)
    (file.parent / "bank.tml").write_text("x")

    checked, shown = run(tmp_path, "bank", "check"), run(tmp_path, "bank", "show")

    assert "bank.tml:(the whole file): would do nothing: remove it; there are: bank.toml" in (
        checked.stdout
    )
    assert shown.exit_code == 2
    assert "XUQI_BANK: bank.tml" in shown.stderr


def test_a_wording_is_printed_as_a_draft(tmp_path: Path) -> None:
    printed = run(tmp_path, "bank", "wording", CODE).stdout

    assert printed.startswith(f"{{# fields {mark_of('code')} #}}\n{{% extends")
    assert CODE in run(tmp_path, "bank", "wording").stdout
    assert "there is no code/x" in run(tmp_path, "bank", "wording", "code/x").stderr
