"""Runs every service of docker-compose.yml on the bare machine: its own command, its own login."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families as parsed

from schema.events import Topic
from simulation.servers.postgresql import cluster
from tests.house.sources import ROOT
from tests.house.test_compose import OURS, SERVED
from tests.xuqi import sample
from tests.xuqi.serving.test_metrics import free_port
from tests.xuqi.serving.test_serve import eventually, state_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from simulation.servers.kafka import Broker
    from tests.xuqi.sample import Bank

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

PREFIX = "compose."


class Machine:
    """
    What the containers would have: one disk, one database, one broker, a secrets' folder each.
    """

    def __init__(self, folder: Path, database: str, broker: Broker) -> None:
        self.home, self.secrets = folder / "house", folder / "secrets"
        self._database, self._broker = database, broker
        subprocess.run([ROOT / "deploy/make-secrets.sh", self.secrets], check=True)

    def environment(self, service: str, **more: str) -> dict[str, str]:
        """A service's own variables, with the addresses of this machine."""
        own = {name: self._here(it) for name, it in OURS[service]["environment"].items()}
        usual = {name: it for name, it in os.environ.items() if not name.startswith("XUQI_")}
        # The catcher of mail is not here; everything else is as it stands in the file.
        ours = {"XUQI_HOME": str(self.home), "XUQI_MAIL_URL": "local:", "XUQI_HOST": "127.0.0.1"}
        return {**usual, **own, **ours, "LANG": "en_US.UTF-8", **more}

    def _here(self, value: str) -> str:
        url = sa.make_url(self._database)
        value = value.replace("@postgres/xuqi?", f"@/{url.database}?host={url.query['host']}&")
        value = value.replace(
            "kafka://kafka:9092", f"kafka://{self._broker.server}?prefix={PREFIX}"
        )
        return value.replace("/run/secrets", str(self.secrets))

    def done(self, service: str) -> str:
        """Run one that ends; return what it said."""
        return subprocess.run(
            sample.command_line(*OURS[service]["command"]),
            env=self.environment(service, XUQI_PUBLIC_URL="", XUQI_MAIL_URL=""),
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def roles(self) -> None:
        url = sa.make_url(self._database)
        where = {"PGHOST": str(url.query["host"]), "PGUSER": "xuqi", "PGDATABASE": "postgres"}
        for _ in range(2):  # at every start
            subprocess.run(
                ["bash", ROOT / "deploy/postgresql/logins.sh", self.secrets],
                env={**os.environ, **where},
                check=True,
            )

    @contextmanager
    def components(self) -> Iterator[Mapping[str, Component]]:
        with ExitStack() as stopped:
            components = {name: Component(self, name) for name in SERVED}
            for component in components.values():
                stopped.callback(component.stop)
            yield components


class Component:
    def __init__(self, machine: Machine, name: str) -> None:
        self.name, self.port = name, free_port()
        ports = {"XUQI_METRICS_PORT": str(self.port), "XUQI_PORT": "0"}
        self.process = subprocess.Popen(
            sample.command_line(*SERVED[name]["command"]),
            env=machine.environment(name, **ports),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def healthy(self) -> bool:
        """Ask as the container's own health check does."""
        words = SERVED[self.name]["healthcheck"]["test"][1:]
        words = [sys.executable, *(word.replace(":9480", f":{self.port}") for word in words[1:])]
        assert self.process.poll() is None, self.process.communicate()[1]
        return subprocess.run(words, capture_output=True, check=False).returncode == 0

    def told(self) -> set[str]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics") as answer:
            return {one.name for one in parsed(answer.read().decode()) if one.samples}

    def ended(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGTERM)
        said = self.process.communicate(timeout=60)[1]
        return self.process.returncode, said

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def machine(tmp_path: Path, broker: Broker) -> Iterator[Machine]:
    with cluster() as url:
        yield Machine(tmp_path, url, broker)


def a_customer(machine: Machine) -> Any:  # noqa: ANN401 - a context manager
    settings = machine.environment("migrate")
    return sample.opened(
        machine.home,
        at=datetime.now(UTC),
        store_url=settings["XUQI_STORE_URL"],
        secrets=machine.secrets,
    )


def test_every_service_runs_ready_with_its_own_login_and_they_do_their_work_together(
    machine: Machine,
) -> None:
    machine.done("migrate")
    machine.roles()
    made = machine.done("topics")
    with a_customer(machine) as bank, machine.components() as components:
        customer: Bank = bank
        customer.browser()
        customer.environment.update(machine.environment("migrate"))
        for component in components.values():
            eventually(component.healthy)

        asked = ("--who", "T01", "--why", "lost")
        assert customer.run("certificates", "revoke", "1", *asked).exit_code == 0
        eventually(lambda: state_of(customer, sample.BROWSER) == "revoked")
        told = {name: component.told() for name, component in components.items()}
        ends = {name: component.ended() for name, component in components.items()}

    assert len(re.findall(r": made$", made, re.MULTILINE)) >= len(Topic)
    assert {name: code for name, (code, _) in ends.items() if code} == {}, ends
    assert all("xuqi_store_up" in names for names in told.values())
    assert {name for name, names in told.items() if "xuqi_consumer_lag_events" in names} == {
        "scheduler"
    }
    for name, (_, said) in ends.items():
        assert not re.search(r'"level": "(ERROR|CRITICAL)"', said), (name, said)
