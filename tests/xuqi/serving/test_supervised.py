"""Shows that a worker which dies has a successor, and that none outlives the one who watches it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from schema.migrate import upgrade
from simulation.servers.postgresql import cluster
from tests.xuqi import sample
from tests.xuqi.serving.test_serve import DEADLINE, address_of, eventually, started
from tests.xuqi.serving.test_serve_on_kafka import MANY, asked_at_once, copied, outside
from xuqi.serving.components import COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from renewal.eventlog.kafka import Connection
    from tests.xuqi.sample import Bank


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    with sample.opened(tmp_path / "bank", at=datetime.now(UTC)) as opened:
        opened.browser()
        yield opened


@contextmanager
def supervised(home: Path, *options: str, **settings: str) -> Iterator[subprocess.Popen[str]]:
    process = started(home, "--supervised", *options, **settings)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def workers(process: subprocess.Popen[str]) -> list[int]:
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(pid) for pid in path.read_text().split()]


def told(process: subprocess.Popen[str], number: int) -> tuple[int, str, str]:
    process.send_signal(number)
    said, complaints = process.communicate(timeout=DEADLINE)
    return process.returncode, said.strip(), complaints


def test_whoever_is_killed_again_and_again_has_successors_that_lose_and_repeat_nothing(
    bank: Bank,
) -> None:
    copied(bank)
    begun = []

    with supervised(bank.home) as process:
        for part in range(1, 4):
            address_of(process)
            begun += workers(process)
            asked_at_once(bank, range((part - 1) * MANY // 3 + 1, part * MANY // 3 + 1))
            eventually(lambda: len(outside(bank, "ca")) > MANY + len(begun) * MANY // 6)  # noqa: B023 - asked within this turn
            os.kill(begun[-1], signal.SIGKILL)
        address_of(process)
        eventually(lambda: len({row["ref"] for row in outside(bank, "mail")}) == MANY)
        code, said, complaints = told(process, signal.SIGTERM)

    died = [json.loads(line) for line in complaints.splitlines() if "another one" in line]
    assert (code, said) == (0, "xuqi: stopped")
    assert [line["worker"] for line in died] == begun
    assert len(set(begun)) == 3
    ended = Counter(row["request_id"] for row in outside(bank, "ca") if row["op"] == "revoke")
    assert ended == {f"C{number:08d}-01/revoke": 1 for number in range(1, MANY + 1)}
    assert set(Counter(row["ref"] for row in outside(bank, "mail")).values()) == {1}
    assert bank.listed("dead-letters", "list") == []


def test_a_worker_ends_with_its_parent_also_one_that_stands_still(bank: Bank) -> None:
    with supervised(bank.home) as process:
        address_of(process)
        (worker,) = workers(process)
        os.kill(worker, signal.SIGSTOP)
        process.kill()
        process.wait()
        eventually(lambda: not Path(f"/proc/{worker}").exists())

    with supervised(bank.home) as process:  # on SQLite one at a time
        assert address_of(process).startswith("http://")


@pytest.mark.parametrize("to_all", [False, True], ids=["SIGTERM to the parent", "Ctrl-C"])
def test_told_to_stop_it_ends_well_with_what_is_in_hand_settled(bank: Bank, to_all: bool) -> None:  # noqa: FBT001 - a parameter
    copied(bank)
    asked_at_once(bank, range(1, MANY + 1))

    with supervised(bank.home) as process:
        address_of(process)
        (worker,) = workers(process)
        eventually(lambda: len(outside(bank, "ca")) > MANY + 20)
        if to_all:
            os.kill(worker, signal.SIGINT)
        code, said, complaints = told(process, signal.SIGINT if to_all else signal.SIGTERM)

    assert (code, said) == (0, "xuqi: stopped"), complaints
    assert not Path(f"/proc/{worker}").exists()
    with bank.app.store.snapshot() as look:
        assert (
            look.connection.exec_driver_sql(
                "SELECT count(*) FROM inbox WHERE state NOT IN ('settled', 'parked')"
            ).scalar_one()
            == 0
        )


@pytest.mark.parametrize(
    ("options", "settings", "why"),
    [
        (
            (),
            {"XUQI_WORKERS": "some"},
            "XUQI_WORKERS: is no number that it may be: it must be a whole number from 1 to 1000",
        ),
        (("--only", "relay"), {}, "--only relay: the log is embedded"),
    ],
    ids=["seen by the parent", "seen by the worker"],
)
def test_a_setting_that_cannot_be_used_ends_it_with_one_line(
    tmp_path: Path, options: tuple[str, ...], settings: dict[str, str], why: str
) -> None:
    with supervised(tmp_path, *options, **settings) as process:
        said, complaints = process.communicate(timeout=DEADLINE)

    assert (process.returncode, said) == (2, "")
    assert why in complaints
    assert len(complaints.splitlines()) == 1


def test_a_worker_that_cannot_begin_yet_is_tried_until_it_can(bank: Bank) -> None:
    with supervised(bank.home) as first:
        address_of(first)
        with supervised(bank.home) as second:
            assert second.stderr is not None
            refused = [second.stderr.readline() for _ in range(4)]
            told(first, signal.SIGTERM)
            ready = address_of(second)
            code, *_ = told(second, signal.SIGTERM)

    assert ["running on" in line for line in refused] == [True, False, True, False]
    assert json.loads(refused[1])["code"] == 3
    assert ready.startswith("http://")
    assert code == 0


def test_the_parent_has_one_thread_and_nothing_open(bank: Bank) -> None:
    with supervised(bank.home) as process:
        address_of(process)
        threads = list(Path(f"/proc/{process.pid}/task").iterdir())
        opened = [path.readlink().name for path in Path(f"/proc/{process.pid}/fd").iterdir()]

    assert len(threads) == 1
    assert [name for name in opened if not name.startswith(("pipe:", "null"))] == []


def ran(script: str, *arguments: str, **environment: str) -> object:
    said = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    return json.loads(said.stdout)


DIES = """
import json, os, signal
from xuqi.serving import supervisor
paused, parent = [], os.getpid()
def pause(_signals, seconds):
    paused.append(seconds)
    if len(paused) == 9:
        print(json.dumps(paused), flush=True)
        os._exit(0)
signal.sigtimedwait = pause
supervisor.supervise()
os._exit(1)
"""


def test_who_dies_at_once_again_and_again_is_waited_for_longer_each_time() -> None:
    assert ran(DIES) == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0, 10.0]


ORPHANS = """
import ctypes, json, os, time
from pathlib import Path
from xuqi.serving import supervisor
ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: as the first process of a container
read, write = os.pipe()
supervisor.supervise()
parent = os.getppid()
if not os.fork():
    if not os.fork():
        os.read(read, 1)  # until the one between has ended
        os._exit(0)
    os._exit(0)
os.wait()
os.write(write, b".")
children = Path(f"/proc/{parent}/task/{parent}/children")
while len(children.read_text().split()) > 1:
    time.sleep(0.01)
print(json.dumps("taken in"), flush=True)
os._exit(0)
"""


def test_as_a_containers_first_process_it_takes_in_orphans() -> None:
    assert ran(ORPHANS) == "taken in"


IMPORTS = """
import json, sys
from datetime import date
from xuqi.serving import process, supervisor
from xuqi.settings import read_settings
settings, names = read_settings(), frozenset(sys.argv[1].split(","))
from renewal.rules.contact_hours import TaiwanCalendar
supervisor.preload(settings, names)
before = set(sys.modules)
from xuqi.bootstrap import bootstrap
serving = process.Serving(bootstrap(settings), names)
serving.check()
TaiwanCalendar().is_business_day(date(2026, 1, 1))
serving._ready = lambda _: serving.stop.set()
serving.run()
print(json.dumps(sorted(set(sys.modules) - before)))
"""


@pytest.mark.parametrize("names", ["billing", "scheduler,relay", ",".join(COMPONENTS)])
@pytest.mark.kafka
@pytest.mark.postgresql
def test_a_worker_imports_nothing_that_its_parent_has_not(
    names: str, tmp_path: Path, kafka: Connection
) -> None:
    with cluster() as url:
        upgrade(url)
        imported = ran(
            IMPORTS,
            names,
            XUQI_HOME=str(tmp_path),
            XUQI_STORE_URL=url,
            XUQI_LOG_URL=f"kafka://{kafka.servers[0]}?prefix={kafka.prefix}",
            XUQI_BRANCHES="001",
            XUQI_PORT="0",
        )

    assert imported == []
