"""Shows that a setting that cannot be used is told by its name, in one line and without secrets."""

from __future__ import annotations

import json
import shutil
import socket
from typing import TYPE_CHECKING

import pytest

from back_office.imports.sample import customer_rows, write_customers
from renewal.keys import KEY_NAMES
from tests.xuqi.serving.test_serve import started

if TYPE_CHECKING:
    from pathlib import Path

    from tests.xuqi.sample import Bank

HIDDEN = "hunter2"
SHORT = f"{HIDDEN}-{HIDDEN}"  #: 15 bytes


def only_line(said: str) -> str:
    (line,) = said.strip().splitlines()
    assert HIDDEN not in line
    return line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("XUQI_STORE_URL", HIDDEN),
        ("XUQI_STORE_URL", f"mysql://xuqi:{HIDDEN}@db/xuqi"),
        ("XUQI_STORE_URL", f"oracle+cx://xuqi:{HIDDEN}@db"),
        ("XUQI_STORE_URL", f"postgresql+psycopg://xuqi@db:{HIDDEN}/xuqi"),
        ("XUQI_STORE_URL", f"postgresql+psycopg://xuqi:{HIDDEN}@[::1/xuqi"),
        ("XUQI_LOG_URL", f"kafka://[{HIDDEN}"),
        ("XUQI_SMS_URL", f"twilio://[{HIDDEN}/x"),
        ("XUQI_MAIL_URL", f"smtp://mail:{HIDDEN}?from=a@bank.example"),
        ("XUQI_MAIL_URL", "smtp://mail?from=nobody"),
        ("XUQI_MAIL_URL", "smtp://mail?from=a@bank.example&tls=perhaps"),
        ("XUQI_MAIL_URL", "smtp://mail?from=a@bank.example&ca_file=/not/there"),
        ("XUQI_PORT", "65536"),
        ("XUQI_WORKERS", "0"),
    ],
)
def test_it_is_named_and_its_value_is_not_repeated(bank: Bank, name: str, value: str) -> None:
    bank.environment[name] = value

    result = bank.run("check")

    assert result.exit_code == 2, result.output
    assert name in only_line(result.stderr)


def test_a_home_that_cannot_be_made_is_named(bank: Bank, tmp_path: Path) -> None:
    bank.home = tmp_path / "a file"
    bank.home.write_text("")

    result = bank.run("status")

    assert result.exit_code == 2, result.output
    assert str(bank.home) in only_line(result.stderr)


def test_a_secret_that_cannot_be_read_is_named(bank: Bank) -> None:
    (bank.home / "secrets" / "smtp.key").mkdir()
    bank.environment["XUQI_MAIL_URL"] = "smtp://xuqi@mail?from=a@bank.example"

    result = bank.run("check")

    assert result.exit_code == 2, result.output
    assert "smtp.key" in only_line(result.stderr)


def test_in_a_folder_of_secrets_that_was_named_none_is_made(bank: Bank, tmp_path: Path) -> None:
    bank.environment["XUQI_SECRETS"] = str(tmp_path / "wrong folder")

    result = bank.run("status")

    assert result.exit_code == 2, result.output
    assert "wrong folder/columns.key" in only_line(result.stderr)
    assert not (tmp_path / "wrong folder").exists()


@pytest.mark.parametrize("name", KEY_NAMES)
def test_a_secret_that_is_too_short_for_a_key_is_named_and_not_shown(bank: Bank, name: str) -> None:
    path = bank.home / "secrets" / f"{name}.key"
    whole = path.read_text()
    path.chmod(0o600)
    path.write_text(SHORT)

    in_a_file = bank.run("status")
    path.write_text(whole)
    bank.environment[f"XUQI_SECRET_{name.upper()}"] = SHORT
    in_the_environment = bank.run("status")

    for result, where in ((in_a_file, path.name), (in_the_environment, f"_{name.upper()}")):
        assert result.exit_code == 2, result.output
        assert f"{where} has 15 bytes" in only_line(result.stderr)


def test_one_key_for_two_purposes_is_refused(bank: Bank) -> None:
    """Who knows what the digits are derived from could make the fingerprints of all codes."""
    bank.environment["XUQI_SECRET_PEPPER"] = (bank.home / "secrets" / "codes.key").read_text()

    result = bank.run("status")

    assert result.exit_code == 2, result.output
    assert "codes and pepper" in only_line(result.stderr)


def test_a_management_key_that_no_token_has_is_refused(bank: Bank) -> None:
    bank.environment["XUQI_SECRET_TOKENS"] = "0" * 25

    result = bank.run("status")

    assert result.exit_code == 2, result.output
    assert "XUQI_SECRET_TOKENS has 25 bytes" in only_line(result.stderr)


def test_nobody_is_taken_in_with_another_key_than_those_before(bank: Bank, tmp_path: Path) -> None:
    other = shutil.copytree(bank.home / "secrets", tmp_path / "other")
    (other / "columns.key").chmod(0o600)
    (other / "columns.key").write_text("0" * 64)
    bank.environment["XUQI_SECRETS"] = str(other)
    file = write_customers(tmp_path / "customers.csv", customer_rows(3))

    result = bank.run("import", "customers", str(file))

    assert result.exit_code == 2, result.output
    assert "columns.key" in only_line(result.stderr)


def test_a_wrong_passphrase_of_the_ca_is_a_setting_that_cannot_be_used(
    bank: Bank, tmp_path: Path
) -> None:
    other = shutil.copytree(bank.home / "secrets", tmp_path / "other")
    (other / "ca.key").chmod(0o600)
    (other / "ca.key").write_text("0" * 64)
    bank.environment["XUQI_SECRETS"] = str(other)

    result = bank.run("check")

    assert result.exit_code == 2, result.output
    assert "ca.key" in only_line(result.stderr)


@pytest.mark.parametrize("revision", ["0001", "9999"])
def test_the_way_back_of_a_database_that_is_away_is_unavailable(bank: Bank, revision: str) -> None:
    url = f"postgresql+psycopg://xuqi:{HIDDEN}@127.0.0.1:1/xuqi"
    bank.environment["XUQI_STORE_URL"] = url

    result = bank.run("db", "downgrade", revision)

    assert result.exit_code == 3, result.output
    assert "does not answer" in only_line(result.stderr)


def test_a_port_that_is_taken_is_told_by_its_own_setting(bank: Bank) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        process = started(bank.home, "--only", "otp", XUQI_METRICS_PORT=port)
        said = process.communicate(timeout=60)[1]

    assert process.returncode == 3, said
    assert "XUQI_METRICS_PORT" in only_line(said)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("STORE", f"postgresql+psycopg://u:{HIDDEN}/?@db/x", "postgresql+psycopg://u:***@db/x"),
        (
            "STORE",
            f"postgresql://u@db/x?password={HIDDEN}&a=b",
            "postgresql://u@db/x?password=***&a=b",
        ),
        ("LOG", f"kafka://a:9092,b:9092?sasl_plain_password={HIDDEN}", None),
        ("MAIL", f"smtp://u:{HIDDEN}@mail:25?from=a@b", "smtp://u:***@mail:25?from=a@b"),
        ("MAIL", "smtp://mail:1025?from=a@b", "smtp://mail:1025?from=a@b"),
    ],
)
def test_a_password_in_a_url_is_not_shown(
    bank: Bank, name: str, value: str, shown: str | None
) -> None:
    bank.environment[f"XUQI_{name}_URL"] = value

    result = bank.run("config", "show", "--json")

    assert result.exit_code == 0, result.output
    assert HIDDEN not in result.output
    assert shown in {None, json.loads(result.stdout)["settings"][f"XUQI_{name}_URL"]}
