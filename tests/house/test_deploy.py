"""Shows that the samples for systemd and nginx are well-formed and name what there is."""

from __future__ import annotations

import re
import shutil
import subprocess
from configparser import ConfigParser
from typing import TYPE_CHECKING

import click
import pytest

from tests.house.sources import ROOT
from xuqi.cli.main import xuqi
from xuqi.log_rights import log_rights, script
from xuqi.settings import read_settings

if TYPE_CHECKING:
    from pathlib import Path

KAFKA = ROOT / "deploy" / "kafka"
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
NGINX = ROOT / "deploy" / "nginx" / "xuqi.conf"


class _Repeating(dict[str, str]):
    """systemd lets a key stand several times: they are kept one below the other."""

    def __setitem__(self, key: str, value: object) -> None:
        if isinstance(value, list) and key in self:
            value = [*self[key], *value]
        super().__setitem__(key, value)  # type: ignore[assignment]


def unit(path: Path) -> ConfigParser:
    parser = ConfigParser(strict=False, interpolation=None, dict_type=_Repeating)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(path.read_text(encoding="utf-8"))
    return parser


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_starts_a_command_that_there_is(path: Path) -> None:
    service = unit(path)["Service"]

    lines = service["ExecStart"].split("\n") + service.get("ExecStartPre", "").split("\n")
    for line in filter(None, lines):
        program, *words = line.removeprefix("-").split()
        assert program == "/opt/xuqi/.venv/bin/xuqi"
        names = [word for word in words if re.fullmatch("[a-z-]+", word) and word[0] != "-"]
        command: click.Command = xuqi
        for name in names:
            found = command.get_command(click.Context(command), name)  # type: ignore[attr-defined]
            assert found is not None, line
            command = found
            options = {option for it in command.params for option in it.opts}
        assert {word for word in words if word.startswith("--")} <= options


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_sets_what_there_is_and_keeps_to_itself(path: Path) -> None:
    service = unit(path)["Service"]

    given = dict(line.split("=", 1) for line in service["Environment"].split("\n"))
    assert read_settings(given).home.is_absolute()
    assert service["User"] != "root"
    assert service["RestartPreventExitStatus"] == "2"  # a setting that cannot be used
    assert (service["UMask"], service["ProtectSystem"]) == ("0077", "strict")
    assert int(service["TimeoutStopSec"]) > 8  # STOPS_WITHIN of xuqi/serving/process.py


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_takes_the_unit(path: Path, tmp_path: Path) -> None:
    tool = shutil.which("systemd-analyze")
    if tool is None:  # the two tests above have parsed it
        return
    there = tmp_path / path.name.replace("@", "@otp")
    text = path.read_text(encoding="utf-8").replace(
        "/opt/xuqi/.venv/bin/xuqi", shutil.which("true") or ""
    )
    there.write_text(text, encoding="utf-8")

    done = subprocess.run(
        [tool, "verify", "--man=no", there], capture_output=True, text=True, check=False
    )

    assert str(there.name) not in done.stderr, done.stderr


def test_the_proxy_leaves_crl_and_ocsp_in_plain_http_and_paths_as_they_are() -> None:
    text = re.sub(r"#.*", "", NGINX.read_text(encoding="utf-8"))
    plain, secure = (f"server {{{part}" for part in re.split(r"\bserver \{", text)[-2:])

    assert text.count("{") == text.count("}")
    assert "listen 80;" in plain
    for place in ("/ca/", "/ocsp"):
        assert f"location {place} {{ proxy_pass http://xuqi;" in plain
    assert "return 308 https://$host$request_uri;" in plain
    assert "ssl_protocols TLSv1.2 TLSv1.3;" in secure
    assert not re.search(r"proxy_pass http://xuqi/", text)  # a slash would cut the path


def test_the_rights_on_the_log_are_those_that_the_components_need() -> None:
    wanted = script(log_rights(read_settings({}).branch_names))

    assert (KAFKA / "acls.sh").read_text(encoding="utf-8") == wanted, "xuqi topics acl > acls.sh"


def test_the_broker_asks_everybody_for_a_password_over_tls_and_allows_only_what_is_granted() -> (
    None
):
    lines = (KAFKA / "server.properties").read_text(encoding="utf-8").splitlines()
    told = dict(line.split("=", 1) for line in lines if "=" in line and line[0] != "#")

    protocols = {pair.split(":")[1] for pair in told["listener.security.protocol.map"].split(",")}
    assert protocols <= {"SASL_SSL", "SSL"}
    assert told["sasl.enabled.mechanisms"] == "SCRAM-SHA-512"
    assert told["authorizer.class.name"].endswith(".StandardAuthorizer")
    assert told["allow.everyone.if.no.acl.found"] == "false"
    assert told["auto.create.topics.enable"] == "false"
