"""Shows what a serving process does when one of its loops fails."""

from __future__ import annotations

import errno
import json
import logging
import threading
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from producers.relay import CODES, OTHERS, Relay
from renewal.db.engine import StoreUnavailableError
from renewal.delivery import TooManyFailuresError
from tests.scenario.stores import opened, sqlite_url
from tests.scenario.waits import Waits
from tests.xuqi import sample
from xuqi.bootstrap import bootstrap
from xuqi.cli.context import CliContext
from xuqi.cli.main import xuqi
from xuqi.process_lock import ProcessLock
from xuqi.serving import loops
from xuqi.serving.json_logging import JsonLines
from xuqi.serving.loops import Loop, relaying
from xuqi.serving.process import Serving
from xuqi.serving.status_file import status_file
from xuqi.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from renewal.eventlog.port import Record

DEADLINE = 120.0


def looped(turn: Callable[[Loop], None]) -> Loop:
    """Run it until it ends."""
    stop = threading.Event()
    loop = Loop("otp", lambda: turn(loop), stop)
    loop.thread.start()
    loop.thread.join(DEADLINE)
    assert not loop.thread.is_alive()
    return loop


def test_a_consumer_whose_events_fail_stops_and_says_so() -> None:
    def fail(_: Loop) -> None:
        raise TooManyFailuresError("50 of the last 100 events of otp could not be handled")

    loop = looped(fail)

    assert (loop.given_up, loop.crashed) == (True, False)
    assert loop.trouble.startswith("stopped: 50 of the last 100")


def test_a_full_disk_keeps_what_is_told_of_a_process_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    app = bootstrap(Settings(home=tmp_path))
    serving, record = Serving(app, ("otp",)), status_file(tmp_path, ("otp",))
    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.write_text", full)
        serving._record()
        serving._record()
    said = [one.getMessage() for one in caplog.records]
    before = record.exists()

    serving._record()

    assert (before, record.exists()) == (False, True)
    assert len([one for one in said if "No space left on device" in one]) == 1
    app.store.close()


def test_what_is_away_for_a_while_is_waited_for_and_its_trouble_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loops, "FIRST_PAUSE", 0.0)
    seen: list[str] = []

    def away_at_first(loop: Loop) -> None:
        seen.append(loop.trouble)
        if len(seen) == 1:
            raise StoreUnavailableError("the database does not answer")
        if len(seen) == 3:
            loop.stop.set()

    loop = looped(away_at_first)

    assert seen == ["", "the database does not answer", ""]
    assert (loop.given_up, loop.crashed) == (False, False)


class Nowhere:
    """Takes nothing."""

    def publish(self, records: Sequence[Record]) -> None:
        raise NotImplementedError


def test_what_stays_away_is_asked_again_after_two_seconds_at_most() -> None:
    def away() -> None:
        raise StoreUnavailableError("the database does not answer")

    stop = Waits(6)
    Loop("otp", away, stop)._run()

    assert stop.told == [0.2, 0.4, 0.8, 1.6, 2.0, 2.0]


@dataclass
class Pages(Relay):
    """Finds so many events in each page."""

    found: list[int] = field(default_factory=list)

    def run_once(self) -> int:
        return self.found.pop(0)


@pytest.mark.parametrize(("lane", "rests"), [(CODES, []), (OTHERS, [0.05, 0.05])])
def test_what_is_told_within_50_ms_goes_together_unless_it_is_a_code(
    lane: str, rests: list[float], tmp_path: Path
) -> None:
    with opened(sqlite_url(tmp_path)) as store, closing(store.advisory_lock("tests")) as claim:
        found = [1, 4_000, 3_999, 0, 4_000]
        stop = Waits(6)
        loop = relaying(Pages(store, Nowhere(), claim, (), lane=lane, found=found), stop)
        while found:
            loop.turn()

    assert stop.told == rests


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_error_that_nobody_has_foreseen_is_a_crash() -> None:
    def bug(_: Loop) -> None:
        raise ZeroDivisionError

    assert looped(bug).crashed


def test_status_says_which_consumer_has_stopped(tmp_path: Path) -> None:
    with sample.opened(tmp_path):
        pass
    stopped = {"name": "otp", "given_up": True, "trouble": "stopped: 50 of the last 100"}
    told = {"process": 1, "stopped": False, "loops": [stopped]}
    status_file(tmp_path).write_text(json.dumps(told))
    place = ProcessLock(tmp_path / "serve.lock")
    assert place.take()

    try:
        context = CliContext(home=tmp_path, environment={"LANG": "en"})
        result = CliRunner().invoke(xuqi, ["status"], obj=context)
    finally:
        place.release()

    assert result.exit_code == 1
    assert "stopped: 50 of the last 100" in result.stdout


def test_what_a_killed_process_has_written_of_itself_counts_no_more(tmp_path: Path) -> None:
    with sample.opened(tmp_path):
        pass
    status_file(tmp_path).write_text(json.dumps({"process": 1, "stopped": False, "loops": []}))

    result = CliRunner().invoke(
        xuqi, ["status"], obj=CliContext(home=tmp_path, environment={"LANG": "en"})
    )

    assert (result.exit_code, "serve: not running" in result.stdout) == (0, True)


def test_a_line_of_the_log_holds_the_fact_and_its_keys() -> None:
    record = logging.makeLogRecord({"msg": "dead letter", "consumer": "otp", "identity": "x:1"})

    told = json.loads(JsonLines().format(record))

    assert (told["message"], told["consumer"], told["identity"]) == ("dead letter", "otp", "x:1")
