"""Works on eight readers at once, whose cards take a real card's time."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.scenario.stores import opened, sqlite_url
from tests.token_station.station.branch import Branch
from tests.token_station.tokens import Desk, PretendCa

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from renewal.db.engine import Store
    from token_station.port import Transport

READERS = 8
#: Seconds that a card takes for a command; real ones take 5 to 50 ms, and much more for a key.
A_COMMAND = 0.01


@dataclass
class Busy:
    """How many cards were at a command at once: no measure of how fast the machine is."""

    now: int = 0
    most: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def one_more(self) -> Iterator[None]:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            yield
        finally:
            with self._lock:
                self.now -= 1


class Slow:
    """A reader whose card takes its time."""

    def __init__(self, desk: Desk, busy: Busy) -> None:
        self.name, self._reader = f"{desk.reader.name} of {desk.serial}", desk.reader
        self._busy = busy

    def connect(self) -> Transport | None:
        connection = self._reader.connect()
        return None if connection is None else _SlowConnection(connection, self._busy)


class _SlowConnection:
    def __init__(self, connection: Transport, busy: Busy) -> None:
        self._connection, self._busy = connection, busy

    def transmit(self, frame: bytes) -> tuple[bytes, int]:
        with self._busy.one_more():
            time.sleep(A_COMMAND)
        return self._connection.transmit(frame)


def most_at_once(branch: Branch, parallel: int) -> int:
    busy = Busy()
    branch.station.readers = [Slow(desk, busy) for desk in branch.desks]
    branch.station.parallel = parallel
    for renewal in branch.centre.desks:
        branch.centre.ask(renewal)
    branch.station.take()
    branch.station.work()
    return busy.most


def test_eight_readers_work_at_once(tmp_path: Path, ca: PretendCa) -> None:
    most = {}
    for parallel in (1, READERS):
        folder = tmp_path / str(parallel)
        serials = [f"{0x029DC200 + number:08x}" for number in range(READERS)]
        desks = [Desk(folder / serial, ca=ca, serial=serial) for serial in serials]
        with opened(sqlite_url(folder), make=True) as store:
            branch = Branch(folder, store, desks)
            most[parallel] = most_at_once(branch, parallel)
            assert len(branch.station.journal.open_jobs()) == READERS
            assert all(branch.deeds("generate", desk) for desk in desks)

    assert most[1] == 1
    assert most[READERS] > READERS / 2


def test_every_reader_s_token_gets_a_key_of_its_own(
    tmp_path: Path, store: Store, ca: PretendCa
) -> None:
    serials = [f"{0x029DC200 + number:08x}" for number in range(READERS)]
    desks = [Desk(tmp_path / serial, ca=ca, serial=serial) for serial in serials]
    branch = Branch(tmp_path, store, desks)
    branch.station.parallel = READERS
    for number, desk in enumerate(desks):
        desk.reader.name = f"Desk {number}"
        branch.centre.ask(list(branch.centre.desks)[number])

    branch.rounds(3)

    for renewal, desk in branch.centre.desks.items():
        assert branch.deeds("generate", desk) == [("9A", "ok")]
        assert desk.session().read_certificate("9A") == branch.centre.issued[renewal]
    assert branch.station.journal.open_jobs() == []
