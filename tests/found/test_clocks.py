"""A clock that is set back, leaps or stood still harms nobody: it is judged before it is used."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from centre.actions import CodeResult
from renewal.clock import SystemClock, Uptime, VirtualClock, uptime
from renewal.clock_guard import ClockDoubtedError, ClockGuard
from renewal.rules.clocks import AWAY, LEAP, SLACK, Judgement, judge
from renewal.store.alarms import open_alarms
from scheduler.jobs import Scan
from scheduler.timetable import Timetable
from tests.found import paused_leader
from tests.scenario import reminding as t
from tests.scenario.acts import SESSION
from tests.scenario.sample import BROWSER, open_sample
from web.sessions import Session
from web.throttle import Throttle
from xuqi.cli.context import CliContext
from xuqi.cli.main import xuqi

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.scenario.scenario import Scenario

NOW = datetime(2026, 3, 20, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
PROJECT = Path(__file__).parents[2]
SECOND = timedelta(seconds=1)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[t.Scenario]:
    opened = t.open_town(tmp_path / "home", NOW)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("seen", "last", "ran", "judged"),
    [
        (None, None, 0, Judgement.GOOD),
        (0, None, 0, Judgement.GOOD),
        (-AWAY // HOUR, None, 0, Judgement.GOOD),
        (-AWAY // HOUR - 1, None, 0, Judgement.LEAPT),
        (AWAY // HOUR + 1, None, 0, Judgement.LEAPT),
        (1, None, 0, Judgement.SET_BACK),
        (0, -1, 1, Judgement.GOOD),
        (0, -1, -LEAP // HOUR + 1, Judgement.GOOD),
        (0, -4, 1, Judgement.LEAPT),
        (0, 1, 0, Judgement.SET_BACK),
        (0, 4, 0, Judgement.LEAPT),
        (0, -900, 900, Judgement.GOOD),  # it was left alone for long
    ],
)
def test_how_a_clock_is_judged(
    seen: int | None, last: int | None, ran: int, judged: Judgement
) -> None:
    """Hours from now."""
    assert (
        judge(
            NOW,
            None if seen is None else NOW + seen * HOUR,
            last=None if last is None else NOW + last * HOUR,
            ran=ran * HOUR,
        )
        is judged
    )


def test_hosts_may_differ_a_little() -> None:
    assert judge(NOW, NOW + SLACK, last=None, ran=SECOND) is Judgement.GOOD


def timetable(town: t.Scenario, holder: str = "first") -> Timetable:
    sms = town.app.gateways.sms
    return Timetable(store=town.store, policies=town.policies, sms=sms, holder=holder)


def test_m13_a_leap_stops_every_job_until_a_person_agrees(town: t.Scenario) -> None:
    town.add(1, t.taipei("2026-04-10 23:59:59"))
    scheduler = timetable(town)
    assert scheduler.run("tend") is not None
    town.clock.set(NOW + timedelta(days=400))
    town.wait(seconds=20)

    leapt = [scheduler.run(job) for job in ("scan", "leave", "remind", "tend", "reports")]
    left = town.certificate(1).left_at
    agreed = CliRunner().invoke(
        xuqi, ["clock", "accept", "--who", "lin", "--why", "x"], obj=context_of(town)
    )
    town.wait(seconds=20)

    assert leapt == [None] * 5
    assert left is None
    assert agreed.exit_code == 0, agreed.output
    assert scheduler.run("leave") is not None
    assert town.certificate(1).left_at is not None


def context_of(town: t.Scenario) -> CliContext:
    context = CliContext(clock=town.clock)
    context.__dict__["store"] = town.store
    return context


def test_m13_a_process_that_was_stopped_between_two_readings_does_not_doubt_the_clock(
    town: t.Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = ClockGuard(town.store)
    guard.check()
    town.wait(minutes=1)
    later = town.clock.now() + timedelta(days=3)
    read = town.clock.now

    def read_and_stopped() -> datetime:
        said = read()
        town.clock.advance_to(later)  # what a trial's clock does meanwhile
        return said

    monkeypatch.setattr(town.clock, "now", read_and_stopped)
    guard.check()

    assert read() > later


def test_m13_a_clock_that_comes_right_by_itself_is_believed_again(town: t.Scenario) -> None:
    guard = ClockGuard(town.store)
    guard.check()
    town.clock.set(NOW + timedelta(days=2))
    with pytest.raises(ClockDoubtedError):
        guard.check()
    town.wait(seconds=60)
    town.clock.set(NOW + 60 * SECOND)

    guard.check()

    with town.store.snapshot() as look:
        assert open_alarms(look) == []


def test_m13_who_starts_while_the_clock_is_doubted_doubts_it_too(town: t.Scenario) -> None:
    first = ClockGuard(town.store)
    first.check()
    town.clock.set(NOW + timedelta(days=2))
    with pytest.raises(ClockDoubtedError):
        first.check()

    with pytest.raises(ClockDoubtedError):
        ClockGuard(town.store).check()


def test_m13_another_host_whose_clock_is_right_goes_on_and_takes_no_doubt_away(
    town: t.Scenario,
) -> None:
    wrong, right = ClockGuard(town.store), ClockGuard(town.store)
    wrong.check()
    right.check()
    town.clock.set(NOW + timedelta(days=2))
    with pytest.raises(ClockDoubtedError):
        wrong.check()
    town.wait(seconds=6)
    town.clock.set(NOW + 6 * SECOND)

    right.check()

    with pytest.raises(ClockDoubtedError):
        ClockGuard(town.store).check()


def test_m13_a_house_that_was_off_for_long_asks_before_it_tells_anybody(town: t.Scenario) -> None:
    ClockGuard(town.store).check()
    town.clock.advance_to(NOW + AWAY + HOUR)

    with pytest.raises(ClockDoubtedError, match="xuqi clock accept"):
        ClockGuard(town.store).check()


def test_m13_a_machine_that_slept_for_a_week_end_is_believed(town: t.Scenario) -> None:
    guard = ClockGuard(town.store)
    guard.check()
    town.wait(days=3)

    guard.check()


def test_m13_what_was_put_off_by_a_clock_that_was_ahead_comes_earlier(town: t.Scenario) -> None:
    guard = ClockGuard(town.store)
    town.add(1, t.taipei("2026-04-10 23:59:59"), told=30)
    town.clock.set(NOW + HOUR)  # ahead of its time
    guard.check()
    put_off = "INSERT INTO parked (consumer, identity, topic, key, kind, at, body, due, tries, why)"
    with town.store.transaction() as work:
        work.connection.exec_driver_sql(
            f"{put_off} VALUES ('reminders', 'x', 't', 'k', 'x', :at, x'', :at, 1, '')",
            {"at": (town.clock.now() + HOUR).strftime("%Y-%m-%d %H:%M:%S.%f")},
        )
    town.clock.set(NOW)
    town.wait(seconds=6)

    guard.check()

    [(due,)] = town.rows("SELECT due FROM parked")
    assert str(due)[:16] == f"{NOW + HOUR:%Y-%m-%d %H:%M}"


def test_m13_triggers_begin_anew_when_the_clock_is_set_back(
    town: t.Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading  # noqa: PLC0415 - of this test alone

    from scheduler import timetable as module  # noqa: PLC0415

    offset = timedelta(hours=1)

    class Moved(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]  # noqa: ARG003
            return datetime.now(UTC) + offset

    monkeypatch.setattr(module, "datetime", Moved)
    monkeypatch.setattr(module, "LOOKS_EVERY", 0.05)
    scheduler = timetable(town)
    scheduler.every = {"tend": HOUR}
    ran = threading.Semaphore(0)
    monkeypatch.setattr(Timetable, "run", lambda *_: ran.release())
    scheduler.start()
    try:
        # Its first turn is an hour away: it was planned by a clock that was ahead.
        assert not ran.acquire(timeout=0.3)
        offset = timedelta(0)
        assert ran.acquire(timeout=20)
    finally:
        scheduler.stop()


def test_m13_who_was_paused_in_the_middle_of_a_job_does_nothing_that_another_has_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = t.open_town(tmp_path, datetime.now(UTC))
    town.store.clock = SystemClock()
    town.add(1, datetime.now(UTC) + timedelta(days=5))
    monkeypatch.setattr("scheduler.timetable.LASTS", paused_leader.LASTS)
    command = [sys.executable, "-m", paused_leader.__name__, str(tmp_path)]
    with subprocess.Popen(
        command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as paused:
        assert paused.stdin is not None
        assert paused.stdout is not None
        assert paused.stdout.readline() == "begun\n"
        paused.send_signal(signal.SIGSTOP)
        scheduler, until = timetable(town, "second"), time.monotonic() + 60
        while scheduler.lead() is None:  # its lease runs out while it stands still
            assert time.monotonic() < until
            time.sleep(0.05)
        announced = scheduler.run("scan")
        paused.send_signal(signal.SIGCONT)
        said, _ = paused.communicate("\n", timeout=60)

    assert announced == Scan(announced=1)
    assert said == "None\n"
    assert len(town.rows("SELECT 1 FROM events WHERE kind LIKE 'renewal-due%'")) == 1
    assert town.certificate(1).left_at is None
    town.close()


# --- what was written by a clock that was ahead ---------------------------------------------------


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Scenario]:
    opened = open_sample(tmp_path / "bank")
    yield opened
    opened.close()


def set_back(world: Scenario, span: timedelta) -> None:
    """As an NTP server does that was wrong for a while."""
    clock = VirtualClock(world.clock.now() - span)
    world.app.store.clock = clock


@pytest.mark.parametrize(
    ("span", "said"), [(HOUR, CodeResult.EXPIRED), (5 * SECOND, CodeResult.RIGHT)]
)
def test_a_code_lives_no_longer_because_the_clock_is_set_back(
    world: Scenario, span: timedelta, said: CodeResult
) -> None:
    sent, code = world.code()
    set_back(world, span)

    answer = world.centre.enter_code(
        sent.challenge, code, session=SESSION, action="renew", certificate=BROWSER
    )

    assert answer.result is said


@pytest.mark.parametrize(
    ("set_by", "then", "said"),
    [
        (-40 * SECOND, 25 * SECOND, CodeResult.EXPIRED),  # by the clock it is 25 seconds old
        (-40 * SECOND, 15 * SECOND, CodeResult.RIGHT),
        (HOUR, 15 * SECOND, CodeResult.RIGHT),  # by the clock it ended long ago
        (HOUR, 25 * SECOND, CodeResult.EXPIRED),
    ],
)
def test_a_code_lives_for_its_one_minute_whatever_the_clock_is_set_to(
    world: Scenario, set_by: timedelta, then: timedelta, said: CodeResult
) -> None:
    sent, code = world.code()
    world.clock.advance_to(world.clock.now() + 40 * SECOND)
    world.clock.set(world.clock.now() + set_by)
    world.clock.advance_to(world.clock.now() + then)

    answer = world.centre.enter_code(
        sent.challenge, code, session=SESSION, action="renew", certificate=BROWSER
    )

    assert answer.result is said


def test_after_a_start_of_the_machine_a_code_is_judged_by_the_clock(world: Scenario) -> None:
    sent, code = world.code()
    world.clock.boot = "the next start"
    world.clock.set(world.clock.now() + HOUR)

    answer = world.centre.enter_code(
        sent.challenge, code, session=SESSION, action="renew", certificate=BROWSER
    )

    assert answer.result is CodeResult.EXPIRED


def test_each_process_of_a_machine_names_the_same_start() -> None:
    shown = "from renewal.clock import SystemClock, uptime; print(uptime(SystemClock()).boot)"
    here = uptime(SystemClock())

    other = subprocess.run(
        [sys.executable, "-c", shown], cwd=PROJECT, capture_output=True, text=True, check=True
    )

    assert other.stdout.strip() == here.boot != ""
    later = uptime(SystemClock()).since(here)
    assert later is not None
    assert later >= timedelta(0)
    assert here.since(Uptime(boot="another", ran=timedelta(0))) is None


def test_a_bar_lasts_no_longer_because_the_clock_is_set_back(world: Scenario) -> None:
    throttle = Throttle(store=world.app.store, name="x", at_most=1, within=HOUR)
    throttle.count("somebody")
    shut = throttle.is_shut("somebody")
    set_back(world, timedelta(days=1))

    assert (shut, throttle.is_shut("somebody")) == (True, False)


def test_a_session_of_a_clock_that_was_ahead_is_over() -> None:
    at = {"made_at": NOW, "seen_at": NOW}
    session = Session(id="x", face="centre", subject="1", body={}, **at)

    over = [session.is_over(NOW + span) for span in (-HOUR, -5 * SECOND, HOUR / 60)]

    assert over == [True, False, False]
