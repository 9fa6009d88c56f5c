"""Shows that help is quick because it imports little, and that it is in two languages."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from xuqi.cli.context import CliContext
from xuqi.cli.i18n import Lang, moment, spoken, table
from xuqi.cli.main import COMMANDS, xuqi

HEAVY = (
    "alembic", "apscheduler", "asn1crypto", "cryptography", "holidays", "jinja2", "msgspec",
    "sqlalchemy", "twilio",
)  # fmt: skip
OURS = ("renewal", "schema", "scheduler", "producers", "consumers", "token_station", "centre")
#: Of ``xuqi --help``, measured once; Python alone has about 60, click most of the rest.
MOST_MODULES = 180

_COUNT = """
import json, sys
from xuqi.__main__ import main
sys.argv = ["xuqi", *{args!r}]
try:
    main()
except SystemExit:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def imported_by(*args: str) -> set[str]:
    code = _COUNT.format(args=args)
    run = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    assert "Usage: xuqi" in run.stdout
    return set(json.loads(run.stderr))


def test_help_imports_nothing_heavy() -> None:
    modules = imported_by("--help")

    tops = {name.partition(".")[0] for name in modules}
    assert tops.isdisjoint(HEAVY)
    assert tops.isdisjoint(OURS)
    assert len(modules) < MOST_MODULES


def test_help_of_a_command_imports_no_other_command_and_nothing_heavy() -> None:
    modules = imported_by("certificates", "--help")

    assert {name for name in modules if name.startswith("xuqi.cli.commands.")} == {
        "xuqi.cli.commands.certificates"
    }
    assert {name.partition(".")[0] for name in modules}.isdisjoint(HEAVY)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_in_both_languages(name: str) -> None:
    shown = CliRunner().invoke(xuqi, [name, "--help"], obj=CliContext(environment={}))

    text = shown.output
    assert shown.exit_code == 0, text
    assert any("\u4e00" <= sign <= "\u9fff" for sign in text)
    assert text.index(next(sign for sign in text if "\u4e00" <= sign <= "\u9fff")) < len(text)


def test_a_command_that_is_not_there_is_a_usage_error() -> None:
    assert CliRunner().invoke(xuqi, ["renew"], obj=CliContext(environment={})).exit_code == 2


@pytest.mark.parametrize(
    ("environment", "lang"),
    [
        ({}, Lang.ZH),
        ({"LANG": "C.UTF-8"}, Lang.ZH),
        ({"LANG": "zh_TW.UTF-8"}, Lang.ZH),
        ({"LANG": "en_US.UTF-8"}, Lang.EN),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "zh_TW.UTF-8"}, Lang.ZH),
        ({"LANG": "zh_TW.UTF-8", "LC_MESSAGES": "en_GB"}, Lang.EN),
        ({"LANG": "en_US.UTF-8", "LC_ALL": ""}, Lang.EN),
    ],
)
def test_the_language_is_the_environments_and_else_chinese(
    environment: dict[str, str], lang: Lang
) -> None:
    assert spoken(environment) is lang


def test_columns_stand_under_each_other_although_chinese_is_twice_as_wide() -> None:
    lines = table(("憑證", "狀態"), [(1, "使用中"), (12345678, "x")])

    assert lines == ["憑證      狀態", "1         使用中", "12345678  x"]


def test_there_is_a_sign_for_no_moment() -> None:
    assert moment(None) == "-"
