"""What staff do to many things at once goes on after a kill: each is done once, none is lost."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from back_office import replaying
from back_office.replaying import Replaying
from back_office.runs.actions import RunActions
from renewal.clock import VirtualClock
from renewal.delivery import dead_letters
from renewal.delivery.dead_letters import LetterFilter
from renewal.rules.policies import Policies
from renewal.store import audit
from scheduler import runs as job
from schema.policy import load_policies
from schema.states import RunState
from tests.back_office.run_bank import CHECKER, MAKER, bury, opened_bank
from tests.crash.killer import Killer, WatchedStore
from tests.scenario.stores import NOON

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.back_office.run_bank import RunBank

ITEMS = 250  # five slices of the job
JOB, PERSON = "the job", "a person"


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[RunBank]:
    with opened_bank(tmp_path) as bank:
        bank.certificates(ITEMS)
        yield bank


def killed(bank: RunBank, point: str, at_pass: int, act: Callable[[WatchedStore], object]) -> None:
    """Do it in another process, which is killed at this pass of the point."""
    who, _, _ = point.partition(":")
    child = os.fork()
    if child == 0:
        killer = Killer(point, at_pass)
        clock = VirtualClock(bank.clock.now())
        store = WatchedStore.opened(
            bank.app.settings.store, clock=clock, vault=bank.store.cipher, killer=killer
        )
        with killer.watching(who):
            act(store)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "it was not killed"
    assert os.WTERMSIG(status) == signal.SIGKILL


def actions(store: WatchedStore) -> RunActions:
    return RunActions(store, Policies(load_policies(None)))


def each_item_has_one_renewal(bank: RunBank, run: int) -> bool:
    """Of every item handed on, and of no other; and no certificate has two."""
    with bank.store.snapshot() as look:
        renewals = look.connection.exec_driver_sql("SELECT certificate, id FROM renewals").all()
        items = look.connection.exec_driver_sql(
            f"SELECT certificate, renewal FROM run_items WHERE run = {run} AND renewal IS NOT NULL"  # noqa: S608 - a number of ours
        ).all()
    return sorted(map(tuple, renewals)) == sorted(map(tuple, items))


@pytest.mark.parametrize("point", ["before commit", "after commit"])
@pytest.mark.parametrize("at_pass", [1, 2, 3])
def test_a_killed_job_begins_each_item_once(bank: RunBank, point: str, at_pass: int) -> None:
    run = bank.started(*range(1, ITEMS + 1))
    bank.clock.advance_to(NOON + timedelta(minutes=1))

    killed(bank, f"{JOB}: {point}", at_pass, lambda store: job.advance(store, bank.policies))
    bank.advance()

    assert bank.states(run.id) == {"handed on": ITEMS}
    assert each_item_has_one_renewal(bank, run.id)


def test_what_was_paused_stays_paused_whatever_is_killed(bank: RunBank) -> None:
    run = bank.started(*range(1, ITEMS + 1), per_minute=100)
    bank.advance(seconds=30)
    begun = bank.states(run.id)

    killed(
        bank,
        f"{PERSON}: after commit",
        1,
        lambda store: actions(store).pause(run.id, who=CHECKER, why="look"),
    )
    bank.advance()
    paused = bank.states(run.id)
    killed(
        bank,
        f"{PERSON}: before commit",
        1,
        lambda store: actions(store).resume(run.id, who=MAKER, why="go on"),
    )

    assert paused == begun
    assert bank.run(run.id).state == RunState.PAUSED
    bank.runs.resume(run.id, who=MAKER, why="go on")
    bank.advance(seconds=600)
    bank.advance(seconds=600)
    assert bank.states(run.id)["handed on"] > begun["handed on"]


def test_a_cancellation_that_is_killed_halfway_is_finished_by_the_job(bank: RunBank) -> None:
    run = bank.started(*range(1, ITEMS + 1), per_minute=100)
    bank.advance(seconds=30)
    handed_on = bank.states(run.id)["handed on"]

    killed(
        bank,
        f"{PERSON}: after commit",
        1,
        lambda store: actions(store).cancel(run.id, who=CHECKER, why="wrong list"),
    )
    halfway = bank.states(run.id)
    bank.advance()

    assert halfway["waiting"] > 0
    assert bank.states(run.id) == {"handed on": handed_on, "cancelled": ITEMS - handed_on}
    assert each_item_has_one_renewal(bank, run.id)


@pytest.mark.parametrize("point", ["before commit", "after commit"])
@pytest.mark.parametrize("at_pass", [1, 2, 3])
def test_dead_letters_whose_replay_is_killed_are_each_sent_once(
    bank: RunBank, point: str, at_pass: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "BATCH", 2)
    letters = [bury(bank, f"R{number:08d}-01") for number in range(1, 8)]
    matching = LetterFilter(consumer="billing")
    why = {"who": MAKER, "why": "mended"}

    killed(
        bank,
        f"{PERSON}: {point}",
        at_pass,
        lambda store: Replaying(store).matching(matching, **why),
    )
    with bank.store.snapshot() as look:
        left = dead_letters.count(look, matching)
    rest = Replaying(bank.store).matching(matching, **why)

    committed = at_pass if point == "after commit" else at_pass - 1
    with bank.store.snapshot() as look:
        lines = [row["object"] for row in audit.entries(look) if row["did"] == "replay"]
        parked = look.connection.exec_driver_sql("SELECT identity FROM parked").scalars().all()
        assert dead_letters.count(look, matching) == 0
    assert left == len(letters) - 2 * committed
    assert (rest.done, rest.skipped) == (left, 0)
    assert sorted(lines) == sorted(f"dead letter {one}" for one in letters)
    assert len(set(parked)) == len(parked) == len(letters)
