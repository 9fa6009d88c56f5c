"""Shows that components can be processes of their own, which share the work of one installation."""

from __future__ import annotations

import json
import os
import signal
import socket
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from consumers.registry import CONSUMERS, consumer_types
from simulation.servers.postgresql import cluster
from tests.xuqi import sample
from tests.xuqi.serving.test_serve import address_of, eventually, started
from xuqi.bootstrap import bootstrap
from xuqi.cli.context import CliContext
from xuqi.cli.main import xuqi
from xuqi.serving import components
from xuqi.serving.process import NICENESS
from xuqi.serving.status_file import status_file, status_files
from xuqi.settings import Settings

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.xuqi.sample import Bank

HALVES = ("otp,records,runs,scheduler", "billing,issuance,revocation,reminders,notices,web")


def test_every_consumer_is_a_room() -> None:
    assert [consumer.group for consumer in consumer_types()] == list(CONSUMERS)
    assert set(CONSUMERS) <= set(components.COMPONENTS)


@pytest.mark.parametrize(
    ("asked", "code", "why"),
    [
        ("otp,canteen", 2, "canteen: the components are scheduler"),
        (",", 2, "nothing: the components are"),
        ("relay", 2, "--only relay: the log is embedded"),
        ("otp,station", 2, "--only station: there is no reader"),
    ],
)
def test_a_room_that_cannot_be_is_a_usage_error(
    tmp_path: Path, asked: str, code: int, why: str
) -> None:
    context = CliContext(home=tmp_path, environment={"LANG": "en"})

    result = CliRunner().invoke(xuqi, ["serve", "--only", asked], obj=context)

    assert result.exit_code == code
    assert why in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("group", "uses"),
    [
        ("otp", {"sms", "mail"}),
        ("billing", {"bank"}),
        ("issuance", {"ca"}),
        ("records", set()),
        ("revocation", {"ca"}),
        ("reminders", {"sms", "mail"}),
        ("notices", {"sms", "mail"}),
    ],
)
def test_a_consumer_opens_of_the_world_outside_what_it_uses(
    tmp_path: Path, group: str, uses: set[str]
) -> None:
    app = bootstrap(Settings(home=tmp_path))
    with closing(app.store):
        (consumer,) = app.consumers({group})

    assert consumer.group == group
    assert opened_outside(tmp_path) == uses


def test_a_process_opens_of_the_world_outside_what_its_rooms_use(tmp_path: Path) -> None:
    process = started(tmp_path, "--only", "records,scheduler")
    try:
        address_of(process)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    finally:
        process.kill()

    assert process.returncode == 0
    assert opened_outside(tmp_path) == {"sms"}  # whose reports the scheduler asks for


@pytest.mark.parametrize(
    ("asked", "gives_way"),
    [("records,scheduler", True), ("otp,records", False), ("web,records", False)],
)
def test_who_works_in_bulk_gives_way_to_whoever_is_waited_for(
    tmp_path: Path,
    asked: str,
    gives_way: bool,  # noqa: FBT001 - a parameter
) -> None:
    process = started(tmp_path, "--only", asked)
    try:
        address_of(process)
        # Each thread has a priority of its own.
        threads = [int(one.name) for one in Path(f"/proc/{process.pid}/task").iterdir()]
        found = {os.getpriority(os.PRIO_PROCESS, thread) for thread in threads}
    finally:
        process.kill()
        process.communicate()

    usual = os.getpriority(os.PRIO_PROCESS, 0)
    assert found == {min(usual + NICENESS, 19) if gives_way else usual}


def opened_outside(home: Path) -> set[str]:
    found = {path.stem for path in (home / "outside").glob("*.jsonl")}
    return found | ({"ca"} if (home / "ca").exists() else set())


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    """A bank of today on PostgreSQL."""
    with (
        cluster() as url,
        sample.opened(tmp_path / "bank", at=datetime.now(UTC), store_url=url) as opened,
    ):
        opened.environment["XUQI_STORE_URL"] = url
        opened.browser()
        yield opened


def in_halves(bank: Bank) -> Iterator[subprocess.Popen[str]]:
    for half in HALVES:
        yield started(bank.home, "--only", half, **bank.environment, XUQI_MEMBER="%h")


def test_two_processes_with_different_rooms_share_the_work_of_one_renewal(
    bank: Bank, tmp_path: Path
) -> None:
    with ExitStack() as killed:
        processes = list(in_halves(bank))
        for process in processes:
            killed.callback(process.communicate)
            killed.callback(process.kill)
        lines = [address_of(process) for process in processes]

        bank.run("renewals", "start", "1", "--who", "T01", "--why", "asked")
        sent = bank.json("code", "send", "1")
        texted = bank.home / "outside" / "sms.jsonl"
        eventually(lambda: texted.exists() and sent["challenge"] in texted.read_text())
        right = bank.run(
            *("code", "enter", sent["challenge"], "1", "--renewal", "R00000001-01"),
            *bank.files_handed_in("R00000001-01", tmp_path),
            typed=f"{bank.last_code()}\n",
        )
        eventually(lambda: [row["state"] for row in bank.listed("renewals", "list")] == ["issued"])
        running = bank.json("status")["serve"]
        for process in processes:
            process.send_signal(signal.SIGTERM)
        ends = [process.communicate(timeout=30) for process in processes]

    assert right.exit_code == 0, right.output
    assert [line.startswith("http://") for line in lines] == [False, True]
    assert [process.returncode for process in processes] == [0, 0], ends
    assert {loop["name"] for loop in running["loops"]} == set(CONSUMERS)
    assert [record["stopped"] for record in status_files(bank.home)] == [True, True]
    own = status_file(bank.home, components.selected_components(HALVES[0]), socket.gethostname())
    assert {loop["name"] for loop in json.loads(own.read_text())["loops"]} == {
        "otp",
        "records",
        "runs",
    }
