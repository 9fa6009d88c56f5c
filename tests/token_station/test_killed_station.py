"""Kills the process that drives a simulated card, with a signal that cannot be caught."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from renewal.rules.proof import verify_possession
from tests.token_station.tokens import PIN, Desk
from token_station.simulator import card_memory
from token_station.simulator.card import SimulatedCard

if TYPE_CHECKING:
    from pathlib import Path

DRIVE = """
import os, signal, sys
from pathlib import Path
from tests.token_station.tokens import MANAGEMENT_KEY, WRONG_PIN, START
from renewal.clock import VirtualClock
from renewal.gateways.activity_log import ActivityLog
from token_station.errors import PinWrongError
from token_station.simulator.card_profiles import JAVACARD
from token_station.piv.session import PivSession
from token_station.simulator.card import SimulatedCard

class Killer:
    # Lets the card do the command, and dies before anybody hears the answer.
    def __init__(self, card, ins):
        self.card, self.ins = card, ins
    def transmit(self, frame):
        answer = self.card.transmit(frame)
        if frame[1] == self.ins and len(frame) > 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

ledger = ActivityLog(Path(sys.argv[2]), VirtualClock(START))
card = SimulatedCard(Path(sys.argv[1]), JAVACARD, ledger)
session = PivSession(Killer(card, int(sys.argv[3], 16)), MANAGEMENT_KEY)
session.generate("9A", "P-256") if sys.argv[3] == "47" else session.verify_pin(WRONG_PIN)
"""


def drive_and_kill(desk: Desk, ins: str) -> None:
    argv = [sys.executable, "-c", DRIVE, str(desk.card_path), str(desk.ledger_path), ins]
    dead = subprocess.run(argv, check=False, timeout=60, capture_output=True)
    assert dead.returncode == -signal.SIGKILL, dead.stderr


@pytest.fixture
def desk_p(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_spent_try_stays_spent_when_the_process_is_killed(desk_p: Desk) -> None:
    drive_and_kill(desk_p, "20")

    desk_p.reader.insert(SimulatedCard(desk_p.card_path, desk_p.manners, desk_p.ledger))

    assert desk_p.session().tries_left() == desk_p.manners.pin_tries - 1
    assert [d["result"] for d in deeds(desk_p) if d["op"] == "verify"] == ["63C4"]


def test_a_key_stays_made_when_the_process_is_killed(desk_p: Desk) -> None:
    drive_and_kill(desk_p, "47")

    desk_p.reader.insert(SimulatedCard(desk_p.card_path, desk_p.manners, desk_p.ledger))

    session = desk_p.session()
    assert session.read_certificate("9C") == desk_p.old
    verify_possession(desk_p.old, b"x", session.sign("9C", b"x", pin=PIN))
    assert "9A" in json.loads(desk_p.card_path.read_text())["keys"]
    assert [d["slot"] for d in deeds(desk_p) if d["op"] == "generate"] == ["9C", "9A"]


def test_a_deed_missing_from_the_ledger_is_told_at_the_next_power_on(desk_p: Desk) -> None:
    memory = card_memory.load(desk_p.card_path)
    memory.untold = {"op": "put", "slot": "9A", "result": "ok", "sha256": "00" * 32}
    card_memory.save(desk_p.card_path, memory)

    desk_p.reader.insert(desk_p.card)
    desk_p.reader.insert(desk_p.card)

    assert [d["sha256"] for d in deeds(desk_p) if d["slot"] == "9A"] == ["00" * 32]


def deeds(desk: Desk) -> list[dict[str, str | None]]:
    return [json.loads(line) for line in desk.ledger_path.read_text().splitlines()]
