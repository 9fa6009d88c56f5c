"""Scripts, settings and policy files that were made for version 0.1 are understood."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest

from tests.upgrades.homes import HERE, OldHome, unpacked
from xuqi.cli.main import xuqi
from xuqi.key_files import read_keys
from xuqi.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

OFFERED: dict[str, Any] = json.loads((HERE / "surface-0.1.json").read_text())

#: A value of each setting as version 0.1 took it.
SETTINGS = {
    "XUQI_HOME": "var",
    "XUQI_STORE_URL": "postgresql+psycopg://xuqi@db/xuqi",
    "XUQI_LOG_URL": "kafka://k1:9092,k2:9092",
    "XUQI_SMS_URL": "local:",
    "XUQI_MAIL_URL": "smtp://xuqi@mail.example:587?from=noreply@example.com&tls=verify",
    "XUQI_CA_URL": "embedded:",
    "XUQI_BANK_URL": "embedded:",
    "XUQI_POLICIES": "policies",
    "XUQI_SECRETS": "secrets",
    "XUQI_BRANCH": "001",
    "XUQI_BRANCHES": "001,002",
    "XUQI_REPLICATION": "3",
    "XUQI_MEMBER": "billing-%h",
    "XUQI_HOST": "0.0.0.0",  # noqa: S104 - what somebody has written
    "XUQI_PORT": "8480",
    "XUQI_PUBLIC_URL": "https://pki.example",
    "XUQI_METRICS_PORT": "9100",
    "XUQI_SYNCHRONOUS": "NORMAL",
    "XUQI_WORKERS": "8",
}


def leaves(
    command: click.Command, context: click.Context
) -> Iterator[tuple[str, list[click.Parameter]]]:
    if not isinstance(command, click.Group):
        yield context.command_path, command.params
        return
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        assert below is not None
        yield from leaves(below, click.Context(below, info_name=name, parent=context))


@pytest.fixture(scope="module")
def commands() -> dict[str, list[click.Parameter]]:
    """Every command of today, by its words."""
    return dict(leaves(xuqi, click.Context(xuqi, info_name="xuqi")))


def names_of(parameters: list[click.Parameter]) -> set[str]:
    return {name for one in parameters for name in (*one.opts, *one.secondary_opts)}


@pytest.mark.parametrize("command", OFFERED["commands"])
def test_each_command_is_there_with_each_option(
    commands: dict[str, list[click.Parameter]], command: str
) -> None:
    given = set(OFFERED["commands"][command])

    assert given <= names_of(commands[command])


@pytest.mark.parametrize("command", OFFERED["commands"])
def test_no_command_demands_an_option_that_it_did_not_have(
    commands: dict[str, list[click.Parameter]], command: str
) -> None:
    demanded = [one for one in commands[command] if one.required]

    assert names_of(demanded) <= set(OFFERED["commands"][command])


def test_each_setting_is_read_with_a_value_of_then() -> None:
    assert set(SETTINGS) == set(OFFERED["settings"])

    read = read_settings(SETTINGS)

    assert read.workers == 8
    assert read.policies == Path("policies")


def test_the_secrets_of_then_are_all_that_are_needed(tmp_path: Path) -> None:
    home = unpacked("sqlite", tmp_path)

    keys = read_keys(read_settings({"XUQI_HOME": str(home)}), {})

    assert keys.mail.value


def test_the_policy_files_of_then_are_read(tmp_path: Path) -> None:
    home = OldHome(folder=unpacked("sqlite", tmp_path), store_url="")
    home.run("db", "upgrade")

    scanned = home.run("scan", "--dry-run", XUQI_POLICIES=str(home.folder / "policies"))

    assert scanned.exit_code == 0, scanned.output
