"""Several processes read one clock; a killed one takes neither the time nor a lock along."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from simulation.shared_clock import Bell, SharedClock

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2026, 3, 1, 16, 0, tzinfo=UTC)
READS = """
import sys
from pathlib import Path
from simulation.shared_clock import SharedClock
clock = SharedClock(Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    print(clock.now().isoformat())
"""
HOLDS = """
import sys, time
from pathlib import Path
from simulation.shared_clock import SharedClock
with SharedClock(Path(sys.argv[1]))._moments.alone():
    print("held", flush=True)
    time.sleep(60)
"""


def other(script: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_no_two_readings_of_any_process_are_the_same_and_none_goes_back(tmp_path: Path) -> None:
    clock = SharedClock(tmp_path / "clock")
    clock.advance_to(START)

    others = [other(READS, tmp_path / "clock", 500) for _ in range(2)]
    own = [clock.now().isoformat() for _ in range(500)]
    read = [own, *(process.communicate(timeout=60)[0].split() for process in others)]

    together = [one for readings in read for one in readings]
    assert len(set(together)) == len(together) == 1500
    assert all(readings == sorted(readings) for readings in read)
    assert max(together) == (START + timedelta(microseconds=1500)).isoformat()


def test_it_is_moved_for_all_and_never_back(tmp_path: Path) -> None:
    clock, same = SharedClock(tmp_path / "clock"), SharedClock(tmp_path / "clock")

    clock.advance_to(START)
    clock.advance_to(START - timedelta(days=1))

    assert same.now() == START + timedelta(microseconds=1)


def test_a_process_that_is_killed_while_it_holds_the_clock_stops_nobody(tmp_path: Path) -> None:
    clock = SharedClock(tmp_path / "clock")
    process = other(HOLDS, tmp_path / "clock")
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"

    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)

    assert clock.now() < clock.now()


def test_a_bell_is_answered_job_by_job_and_an_old_answer_is_none_to_a_new_ring(
    tmp_path: Path,
) -> None:
    bell, same = (Bell(tmp_path / "bell", ["scan", "remind"]) for _ in range(2))
    assert bell.unanswered() == []

    bell.ring()
    rung = same.rung
    same.answer("scan", rung)
    assert bell.unanswered() == ["remind"]

    bell.ring()
    same.answer("remind", rung)
    assert bell.unanswered() == ["remind", "scan"]
