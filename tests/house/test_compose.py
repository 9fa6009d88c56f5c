"""Shows that docker-compose.yml names nothing that is not there: no container engine is needed."""

from __future__ import annotations

import re
import shlex
import subprocess
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import click
import pytest
import yaml
from click.testing import CliRunner

from renewal.keys import KEY_NAMES
from simulation.servers.kafka import VERSION as KAFKA
from tests.house.sources import PACKAGES, ROOT
from tests.house.valid import VALID, said_of
from xuqi.cli.context import CliContext
from xuqi.cli.main import xuqi
from xuqi.component_secrets import needed
from xuqi.serving import components
from xuqi.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: it for name, it in SERVICES.items() if it["image"].startswith("xuqi:")}
OTHERS = {name: it for name, it in SERVICES.items() if name not in OURS}
SERVED = {name: it for name, it in OURS.items() if it["command"][0] == "serve"}
#: It has no shell and no client.
CANNOT_LOOK = {"collector"}
DOCKERFILE = (ROOT / "Dockerfile").read_text()
ALERTS = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())


def secrets_of(service: dict[str, Any]) -> dict[str, str]:
    """Where each secret lies in the container, and which it is."""
    found = {}
    for one in service.get("secrets", []):
        named = one if isinstance(one, dict) else {"source": one, "target": one}
        found[f"/run/secrets/{named['target']}"] = named["source"]
    return found


def images() -> Iterator[str]:
    yield from (service["image"] for service in OTHERS.values())
    yield from re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)


COMPOSE_SPEC = ("--builtin-schema", "vendor.compose-spec")


def test_the_file_is_as_the_compose_specification_has_it() -> None:
    assert said_of(ROOT / "docker-compose.yml", *COMPOSE_SPEC) == VALID


def test_and_one_that_is_not_is_seen(tmp_path: Path) -> None:
    spoilt = tmp_path / "docker-compose.yml"
    text = (ROOT / "docker-compose.yml").read_text()
    spoilt.write_text(text.replace("healthcheck: {disable: true}", "healthcheck: {disabled: true}"))

    assert "services.migrate" in said_of(spoilt, *COMPOSE_SPEC)


@pytest.mark.parametrize("image", sorted(set(images())))
def test_every_image_is_pinned_to_an_exact_version(image: str) -> None:
    assert re.fullmatch(r"[a-z0-9./-]+:v?[0-9]+\.[0-9]+(\.[0-9]+)?(-[a-z-]+)?", image)


def test_the_broker_is_the_one_that_the_tests_run() -> None:
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{KAFKA}"


def test_our_image_is_of_the_projects_version() -> None:
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)

    assert version is not None
    assert {service["image"] for service in OURS.values()} == {f"xuqi:{version[1]}"}


def test_every_room_has_a_service_but_the_station_which_stands_at_the_branch() -> None:
    served = [
        component
        for it in SERVED.values()
        for component in components.selected_components(it["command"][-1])
    ]

    assert sorted(served) == sorted(set(components.COMPONENTS) - {components.STATION})
    own = {name: ["serve", "--supervised", "--only", name] for name in SERVED}
    assert {name: it["command"] for name, it in SERVED.items()} == own


def test_where_cores_are_short_the_rooms_that_somebody_waits_for_come_first() -> None:
    usual = 1024  #: as the engines have them, and whatever says nothing

    giving_way = {name for name, it in SERVED.items() if it["cpu_shares"] < usual}

    assert giving_way == SERVED.keys() - components.URGENT_COMPONENTS


def understood(name: str, words: list[str]) -> None:
    """A command that is not there, or a strange option, is an error."""
    command: click.Command = xuqi
    context = click.Context(xuqi)
    while isinstance(command, click.Group):
        found = command.get_command(context, words[0])
        assert found is not None, words
        command, words = found, words[1:]
    command.make_context(name, list(words), parent=context)


@pytest.mark.parametrize("name", OURS)
def test_every_command_is_understood(name: str) -> None:
    understood(name, OURS[name]["command"])

    shown = CliRunner().invoke(
        xuqi, [*OURS[name]["command"], "--help"], obj=CliContext(environment={})
    )

    assert shown.exit_code == 0, shown.output


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting(name: str) -> None:
    settings = read_settings(OURS[name]["environment"])  # an unknown one stops the process

    assert settings.log_url in {"kafka://kafka:9092", "embedded:"}
    assert name not in SERVED or settings.host == "0.0.0.0"  # noqa: S104 - within its container


@pytest.mark.parametrize("name", OURS)
def test_every_secret_is_one_that_is_read_and_no_secret_is_missing(name: str) -> None:
    service = OURS[name]
    settings = read_settings(service["environment"])
    mounted = set(secrets_of(service))
    passfile = parse_qs(urlsplit(settings.store_url).query).get("passfile", [])
    own: Collection[str] = KEY_NAMES if name == "staff" else ()
    if name in SERVED:
        own = needed(name, settings)
    keys = {f"{settings.secrets}/{key}.key" for key in own}

    assert mounted == {*keys, *passfile}


@pytest.mark.parametrize("name", OTHERS)
def test_a_secret_of_anothers_image_is_named_where_it_is_read(name: str) -> None:
    script = (ROOT / "deploy" / "postgresql" / "logins.sh").read_text()
    logins = {f"/run/secrets/{one}.pgpass" for one in ("web", "workers", "relay")}
    named = {it for it in OTHERS[name].get("environment", {}).values() if "/run/secrets/" in it}
    if name == "roles":
        assert "for name in web workers relay" in script
        named |= logins

    assert set(secrets_of(OTHERS[name])) == named


def test_no_secret_stands_in_the_file_itself() -> None:
    for service in SERVICES.values():
        for variable, value in service.get("environment", {}).items():
            assert not variable.startswith("XUQI_SECRET_")
            assert urlsplit(value).password is None
            assert "PASSWORD" not in variable or variable.endswith(("_FILE", "__FILE"))


def test_every_secret_is_made_by_the_script_and_used(tmp_path: Path) -> None:
    made = tmp_path / "secrets"
    for _ in range(2):
        subprocess.run([ROOT / "deploy/make-secrets.sh", made], check=True, capture_output=True)

    files = {f"./deploy/secrets/{path.name}" for path in made.iterdir()}
    used = {source for it in SERVICES.values() for source in secrets_of(it).values()}
    assert {it["file"] for it in COMPOSE["secrets"].values()} == files
    assert used == set(COMPOSE["secrets"])
    assert len((made / "tokens.key").read_text().strip()) == 24
    password = (made / "postgres.password").read_text().strip()
    assert (made / "owner.pgpass").read_text() == f"*:*:*:xuqi:{password}\n"
    modes = {path.name: path.stat().st_mode & 0o777 for path in made.iterdir()}
    assert {name for name, mode in modes.items() if mode != 0o400} == {"grafana.password"}
    assert made.stat().st_mode & 0o077 == 0


def test_secrets_are_in_no_repository_and_in_no_image() -> None:
    assert "deploy/secrets/" in (ROOT / ".gitignore").read_text().split()
    assert "!deploy" not in (ROOT / ".dockerignore").read_text()


@pytest.mark.parametrize("name", SERVICES)
def test_every_dependency_and_volume_is_there(name: str) -> None:
    service = SERVICES[name]
    for other, condition in service.get("depends_on", {}).items():
        needed = SERVICES[other]
        if condition["condition"] == "service_healthy":
            assert needed["healthcheck"]["test"]
        else:
            assert needed["restart"] == "no", f"{other} never completes"
        assert set(needed.get("profiles", [])) <= set(service.get("profiles", []))
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]


@pytest.mark.parametrize("name", SERVED)
def test_every_room_is_asked_whether_it_is_ready_on_its_own_port(name: str) -> None:
    service = SERVED[name]
    settings = read_settings(service["environment"])
    command, *words = service["healthcheck"]["test"]
    asked = re.search(r"http://127\.0\.0\.1:(\d+)(/\w+)", words[-1])

    compile(words[-1], name, "exec")
    assert (command, words[:2]) == ("CMD", ["python", "-c"])
    assert asked is not None
    assert (int(asked[1]), asked[2]) == (settings.metrics_port, "/readyz")
    assert service["stop_grace_period"] == "15s"


@pytest.mark.parametrize("name", sorted(set(OTHERS) - CANNOT_LOOK - {"roles"}))
def test_every_other_server_has_a_health_check(name: str) -> None:
    assert OTHERS[name]["healthcheck"]["test"][0] == "CMD"


def test_who_watches_is_asked_for_by_a_profile() -> None:
    watching = {name for name, it in SERVICES.items() if it.get("profiles") == ["observability"]}

    assert watching == {"collector", "prometheus", "grafana"}


def test_nothing_is_published_beyond_this_machine() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert all(port.startswith("127.0.0.1:") for port in ports)


# --- the image ----------------------------------------------------------------------------------


def allowed() -> set[str]:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    return {line.removeprefix("!") for line in lines if line.startswith("!")}


def test_the_image_holds_every_room_and_what_installing_them_needs() -> None:
    copied = set(re.findall(r"requirements/[a-z.]+", DOCKERFILE))

    assert {name for name in allowed() if not (ROOT / name).exists()} == set()
    assert set(PACKAGES) | copied <= allowed()
    assert not {"tests", "bench", ".git", "deploy", "var"} & allowed()


def test_the_image_checks_hashes_and_does_not_run_as_root() -> None:
    installs = re.findall(r"pip install (.+?)(?: \\)?$", DOCKERFILE, re.MULTILINE)

    assert all("--require-hashes" in line or "--editable ." in line for line in installs)
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]
    assert len(re.findall(r"^FROM ", DOCKERFILE, re.MULTILINE)) == 2


# --- who watches --------------------------------------------------------------------------------


def test_prometheus_asks_every_room_on_its_port() -> None:
    settings = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    jobs = {
        job["job_name"]: job["static_configs"][0]["targets"] for job in settings["scrape_configs"]
    }

    assert sorted(jobs["xuqi"]) == sorted(f"{name}:9480" for name in SERVED)
    assert jobs["kafka"] == ["collector:8889"]
    assert (ROOT / "deploy/prometheus" / settings["rule_files"][0]).exists()


def test_every_alert_has_its_page() -> None:
    rules = [rule for group in ALERTS["groups"] for rule in group["rules"]]
    pages = {rule["annotations"]["runbook"] for rule in rules}
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs/runbooks").glob("*.md")}

    assert pages <= there
    assert {rule["labels"]["severity"] for rule in rules} == {"page", "ticket"}
    for rule in rules:
        assert rule["alert"] in (ROOT / rule["annotations"]["runbook"]).read_text()


def pages() -> list[Path]:
    return sorted((ROOT / "docs" / "runbooks").glob("*.md"))


def test_every_page_says_what_is_seen_what_it_means_and_what_to_do_and_not() -> None:
    index = (ROOT / "docs" / "runbooks" / "README.md").read_text()
    for page in pages():
        if page.name == "README.md":
            continue
        text = page.read_text()
        title, parts = (
            text.splitlines()[0],
            re.findall(r"^\*\*([A-Z][a-z ]+)\*\*", text, re.MULTILINE),
        )
        assert re.match(r"# .*[\u4e00-\u9fff].* / [A-Z]", title), page.name
        assert parts == ["You see", "It means", "Do", "Do not"], page.name
        assert f"({page.name})" in index
        assert len(text.splitlines()) < 40, "half a page"


def commands_in(text: str) -> Iterator[list[str]]:
    for found in re.findall(r"`xuqi ([a-z][^`]*)`", text):
        yield shlex.split(found)


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_every_command_of_a_page_is_understood(page: Path) -> None:
    for words in commands_in(page.read_text()):
        numbered = [re.sub(r"^(NUMBER|CERTIFICATE)$", "1", word) for word in words]
        understood(page.stem, [str(page) if word == "FILE" else word for word in numbered])


def test_every_service_and_metric_of_a_page_is_there() -> None:
    source = "".join(
        (ROOT / "xuqi" / "serving" / name).read_text() for name in ("metrics.py", "collector.py")
    )
    for page in pages():
        text = page.read_text()
        for words in re.findall(r"docker compose (?:restart|ps) ([a-z ]+)`", text):
            assert set(words.split()) <= SERVICES.keys()
        for name in re.findall(r"\bxuqi_([a-z_]+)", text):
            plain = re.sub(r"_(total|bucket)$", "", name).replace("loop_", "").replace("home_", "")
            plain = plain.replace("consumer_", "").replace("_bytes", "")
            assert plain in source, f"{page.name}: {name}"
