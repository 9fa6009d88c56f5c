"""Shows that `xuqi config check` names what would go wrong, or do nothing, without starting."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from renewal.keys import KEY_NAMES
from schema.policy import read_policy
from tests.servers.mail_peer import MailPeer
from tests.servers.twilio_simulator import ACCOUNT, TOKEN, TwilioSimulator
from xuqi.config_check import check_config, keys_without_effect
from xuqi.settings import GIVEN_SECRETS, Settings, SettingsError, read_settings

if TYPE_CHECKING:
    from tests.xuqi.sample import Bank

POLICIES = Path(__file__).parents[3] / "schema" / "policies"
#: What is set, the setting that is named, and a word of what to do.
WRONG = {
    "replication of no broker": ({"XUQI_REPLICATION": "3"}, "XUQI_REPLICATION", "remove it"),
    "a member of no group": ({"XUQI_MEMBER": "a"}, "XUQI_MEMBER", "XUQI_LOG_URL"),
    "metrics of no port": ({"XUQI_METRICS_HOST": "0.0.0.0"}, "XUQI_METRICS_HOST", "PORT"),  # noqa: S104
    "a branch of nobody": ({"XUQI_BRANCH": "777"}, "XUQI_BRANCH", "XUQI_BRANCHES"),
    "trust in nothing": ({"XUQI_TRUST": "/nowhere"}, "XUQI_TRUST", "there is no /nowhere"),
    "no folder of the bank": ({"XUQI_BANK": "/nowhere"}, "XUQI_BANK", "xuqi bank init"),
    "no folder of policies": ({"XUQI_POLICIES": "/nowhere"}, "XUQI_POLICIES", "no such folder"),
    "an unknown carrier": ({"XUQI_SMS_URL": "pigeon:"}, "XUQI_SMS_URL", "twilio:"),
    "no secret of the carrier": (
        {"XUQI_MAIL_URL": "smtp://me@relay?from=a@bank.example"}, "XUQI_SECRET_SMTP", "smtp.key"),
    "a sender that is none": (
        {"XUQI_MAIL_URL": "smtp://relay?from=憑證@bank.example"}, "XUQI_MAIL_URL", "one address"),
    "an invented bank": (
        {"XUQI_MAIL_URL": "smtp://relay?from=a@bank.example"}, "XUQI_BANK", "xuqi bank init"),
    "a database that is away": (
        {"XUQI_STORE_URL": "postgresql+psycopg://a@127.0.0.1:1/a", "XUQI_SECRETS": "?"},
        "XUQI_STORE_URL", "does not answer"),
    "an issuer for nobody": (
        {"XUQI_CENTRE_OIDC_ISSUER": "https://a"}, "XUQI_CENTRE_OIDC_ISSUER", "XUQI_CENTRE_LOG_IN"),
    "a log-in without issuer": (
        {"XUQI_CENTRE_LOG_IN": "bank"}, "XUQI_CENTRE_OIDC_ISSUER", "=bank needs it"),
    "an issuer in the clear": (
        {"XUQI_CENTRE_LOG_IN": "bank", "XUQI_CENTRE_OIDC_ISSUER": "http://a.example"},
        "XUQI_CENTRE_OIDC_ISSUER", "https://"),
    "a client without secret": (
        {"XUQI_CENTRE_LOG_IN": "bank", "XUQI_CENTRE_OIDC_ISSUER": "http://127.0.0.1:1",
         "XUQI_CENTRE_OIDC_CLIENT": "x"}, "XUQI_SECRET_CENTRE_OIDC", "centre-oidc.key"),
    "an issuer that is away": (
        {"XUQI_CENTRE_LOG_IN": "both", "XUQI_CENTRE_OIDC_ISSUER": "http://127.0.0.1:1",
         "XUQI_CENTRE_OIDC_CLIENT": "x", "XUQI_SECRET_CENTRE_OIDC": "y"},
        "XUQI_CENTRE_OIDC_ISSUER", "reaches it"),
    "a role that is none": (
        {"XUQI_CONSOLE_LOG_IN": "bank", "XUQI_CONSOLE_OIDC_ISSUER": "http://127.0.0.1:1",
         "XUQI_CONSOLE_OIDC_CLIENT": "x", "XUQI_SECRET_CONSOLE_OIDC": "y",
         "XUQI_CONSOLE_OIDC_ROLES": "CN=A,OU=B=king"}, "XUQI_CONSOLE_OIDC_ROLES", "<group>=<role>"),
}  # fmt: skip


@pytest.mark.parametrize(("given", "setting", "todo"), WRONG.values(), ids=WRONG)
def test_what_would_go_wrong_is_named(
    bank: Bank, given: dict[str, str], setting: str, todo: str
) -> None:
    here = {"XUQI_SECRETS": str(bank.home / "secrets")} if "XUQI_SECRETS" in given else {}
    bank.environment |= {**given, **here}

    result = bank.run("config", "check")

    assert result.exit_code == 1, result.output
    lines = [line for line in result.stdout.splitlines() if line.startswith(f"{setting}: ")]
    assert any(todo in line for line in lines), result.stdout


def test_a_right_installation_has_nothing_to_mend(bank: Bank) -> None:
    result = bank.run("config", "check")

    assert (result.exit_code, result.stdout) == (0, "nothing to mend\n")


def test_nothing_is_made(tmp_path: Path) -> None:
    home = tmp_path / "none"

    assert list(check_config(Settings(home=home), {})) == []

    assert not home.exists()


def test_a_product_without_a_policy_is_named_and_stops_the_start(
    bank: Bank, tmp_path: Path
) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    shipped = (POLICIES / "cooperative-card.toml").read_text(encoding="utf-8")
    (folder / "cooperative-card.toml").write_text(shipped, encoding="utf-8")
    bank.environment["XUQI_POLICIES"] = str(folder)

    said, served = bank.run("config", "check"), bank.run("serve")

    assert "and there is no securities-browser.toml" in said.stdout
    assert "cooperative-card.toml: ladder [-1]: does nothing" in said.stdout
    assert served.exit_code == 2
    assert "put securities-browser.toml into the folder" in served.stderr
    assert bank.run("check").exit_code == 1


@pytest.mark.parametrize(
    ("url", "module", "setting"),
    [
        ("postgresql+psycopg://a@b/c", "psycopg", "XUQI_STORE_URL"),
        ("kafka://a:9092", "kafka", "XUQI_LOG_URL"),
    ],
)
def test_a_missing_client_says_which_target_brings_it(
    monkeypatch: pytest.MonkeyPatch, url: str, module: str, setting: str
) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ImportError(module)

    monkeypatch.setattr(sa, "create_engine", missing)
    monkeypatch.setattr("xuqi.settings.find_spec", lambda _: None)

    with pytest.raises(SettingsError, match=rf"{setting}: {module}.* is missing.*make production"):
        read_settings({setting: url})


def test_readers_without_their_driver_name_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xuqi.config_check.find_spec", lambda _: None)

    [found] = check_config(Settings(readers="pcsc"), {})

    assert "make station" in found.remedy("en")


def test_a_secret_of_no_meaning_stops_the_process() -> None:
    with pytest.raises(SettingsError, match="XUQI_SECRET_TWILLIO: is no secret of Xuqi: remove it"):
        read_settings({"XUQI_SECRET_TWILLIO": "x"})

    known = [*KEY_NAMES, *GIVEN_SECRETS]
    assert read_settings({f"XUQI_SECRET_{name.upper()}".replace("-", "_"): "x" for name in known})


def test_a_key_of_a_policy_that_does_nothing_is_named() -> None:
    shipped = (POLICIES / "cooperative-card.toml").read_bytes()
    policy = read_policy("cooperative-card.toml", shipped)

    found = list(keys_without_effect(policy))

    assert found == ["ladder [-1]"]


def test_the_findings_are_said_in_chinese(bank: Bank) -> None:
    bank.environment["XUQI_MEMBER"] = "a"

    said = bank.run("config", "check", lang="zh-TW")
    (read,) = bank.run("config", "check", "--json").stdout.splitlines()

    assert "XUQI_MEMBER：沒有作用（取決於 XUQI_LOG_URL）：請移除" in said.stdout
    assert json.loads(read) == {
        "setting": "XUQI_MEMBER",
        "code": "setting_no_effect",
        "reason": "does nothing, as XUQI_LOG_URL stands",
        "remedy": "remove it, or change XUQI_LOG_URL",
    }


def test_each_finding_has_no_english_sentence_for_who_reads_chinese(bank: Bank) -> None:
    found = {}
    for name, (given, _setting, _todo) in WRONG.items():
        here = {"XUQI_SECRETS": str(bank.home / "secrets")} if "XUQI_SECRETS" in given else {}
        environment = {**bank.environment, **given, **here}
        for one in check_config(read_settings(environment), environment):
            said = f"{one.reason('zh-TW')}：{one.remedy('zh-TW')}"
            said = re.sub(r"`[^`]*`", "", said)  # a command is typed as it is
            sentences = re.findall(r"\b[A-Za-z]{2,}(?: [A-Za-z]{2,}){2,}\b", said)
            if sentences or not one.remedy("zh-TW"):
                found[name] = said

    assert found == {}


def by_twilio(base: str, token: str = TOKEN) -> dict[str, str]:
    services = f"MG{'a' * 32}/MG{'b' * 32}"
    return {
        "XUQI_SMS_URL": f"twilio://{ACCOUNT}@{services}?base={base}",
        "XUQI_SECRET_TWILIO": token,
        "XUQI_BANK": "sample",
    }


def set_up(bank: Bank, monkeypatch: pytest.MonkeyPatch, given: dict[str, str]) -> None:
    bank.environment |= given
    for name in given.keys() & {"XUQI_SECRET_TWILIO", "XUQI_SECRET_BOUNCES"}:
        monkeypatch.setenv(name, given[name])  # where secrets of others are looked for


@pytest.mark.parametrize(
    ("token", "account", "code"),
    [
        (TOKEN, "active", None),
        (TOKEN, "suspended", "setting_carrier_refuses"),
        ("wrong", "active", "setting_carrier_refuses"),
    ],
)
def test_a_carrier_is_asked_who_we_are_and_sends_nothing(
    bank: Bank, monkeypatch: pytest.MonkeyPatch, token: str, account: str, code: str | None
) -> None:
    with TwilioSimulator() as carrier:
        carrier.account_status = account
        set_up(bank, monkeypatch, by_twilio(carrier.url, token))

        result = bank.run("config", "check", "--connect", "--json")

    found = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    assert [(one["setting"], one["code"]) for one in found] == (
        [("XUQI_SMS_URL", code)] if code else []
    )
    assert {method for method, _ in carrier.requests} == {"GET"}
    assert carrier.messages == {}


@pytest.mark.parametrize(
    ("given", "setting"),
    [
        (by_twilio("http://127.0.0.1:1"), "XUQI_SMS_URL"),
        (
            {"XUQI_MAIL_URL": "smtp://127.0.0.1:1?from=a@b.example&tls=off", "XUQI_BANK": "sample"},
            "XUQI_MAIL_URL",
        ),
        (
            {"XUQI_BOUNCES_URL": "imap://u@127.0.0.1:1/INBOX?tls=off", "XUQI_SECRET_BOUNCES": "x"},
            "XUQI_BOUNCES_URL",
        ),
    ],
    ids=["sms", "mail", "bounces"],
)
def test_whoever_does_not_answer_is_named_when_asked_to_connect(
    bank: Bank, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], setting: str
) -> None:
    set_up(bank, monkeypatch, given)

    told = bank.run("config", "check")
    asked = bank.run("config", "check", "--connect", lang="zh-TW")

    assert told.exit_code == 0, told.output
    assert f"{setting}：沒有回應：請確認它已啟動" in asked.stdout


def test_a_mail_server_that_lets_us_in_has_nothing_to_mend(bank: Bank, tmp_path: Path) -> None:
    with MailPeer(tmp_path) as peer:
        bank.environment |= {
            "XUQI_MAIL_URL": f"smtp://{peer.host}:{peer.port}?from=a@b.example&ca_file={peer.ca_file}",
            "XUQI_BANK": "sample",
        }

        result = bank.run("config", "check", "--connect")

    assert (result.exit_code, result.stdout) == (0, "nothing to mend\n")
    assert peer.received == []
