"""An installation of version 0.1 is upgraded with work in flight, which goes on to its end."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from scheduler import jobs
from simulation.servers.postgresql import database
from tests.scenario.acts import SESSION
from tests.scenario.rows import mobile_of
from tests.upgrades.homes import (
    CODE_OPEN,
    DEAD_LETTER,
    ISSUE_UNSURE,
    ISSUED,
    PIN,
    PROVEN,
    TEXT_PENDING,
    TEXT_UNSURE,
    TOKEN_JOB,
    OldHome,
    loaded,
    unpacked,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.scenario.scenario import Scenario


HOURS, STEP = timedelta(hours=4), timedelta(hours=1)
#: What version 0.1 kept as an English sentence.
WRONG_ANSWER = {
    "zh-TW": "憑證機構的答覆",
    "en": "the CA has answered with what is no certificate",
}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def old_home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OldHome]:
    folder = unpacked(request.param, tmp_path)
    if request.param == "sqlite":
        yield OldHome(folder=folder, store_url="")
        return
    with database(request.getfixturevalue("postgresql"), "old") as url:
        loaded(url, folder / "store.sql")
        yield OldHome(folder=folder, store_url=url)


@pytest.fixture
def upgraded(old_home: OldHome) -> OldHome:
    done = old_home.run("db", "upgrade")
    assert done.exit_code == 0, done.output
    return old_home


@pytest.fixture
def world(upgraded: OldHome) -> Iterator[Scenario]:
    opened = upgraded.opened()
    yield opened
    opened.close()


def counts(home: OldHome) -> dict[str, int]:
    found: dict[str, int] = json.loads(home.run("check", "--json").stdout)["counts"]
    return found


def test_a_command_refuses_the_old_tables_and_says_what_to_do(old_home: OldHome) -> None:
    refused = old_home.run("status")

    assert refused.exit_code == 2
    assert "has version 0004" in refused.stderr
    assert "`xuqi db upgrade`" in refused.stderr


def test_the_upgrade_brings_no_violation(upgraded: OldHome) -> None:
    assert set(counts(upgraded).values()) == {0}


@pytest.mark.parametrize("lang", ["zh-TW", "en"])
def test_every_decision_of_the_old_version_is_read(
    world: Scenario, upgraded: OldHome, lang: str
) -> None:
    written = [number for (number,) in world.rows("SELECT certificate FROM decisions")]

    told = {number: upgraded.run("why", str(number), lang=lang) for number in set(written)}

    assert {it.exit_code for it in told.values()} == {0}
    for number, it in told.items():  # one line for each, besides the heading
        assert len(it.stdout.splitlines()) > written.count(number)
    assert WRONG_ANSWER[lang] in told[DEAD_LETTER].stdout


def test_all_work_in_flight_goes_on_to_its_end(world: Scenario, upgraded: OldHome) -> None:
    [(challenge,)] = world.rows("SELECT id FROM challenges WHERE used_at IS NULL")
    world.keys.append(upgraded.key(CODE_OPEN, of_before=True))
    renewal = world.renewal(f"R{CODE_OPEN:08}-01")

    answer = world.centre.confirm(
        renewal.id,
        challenge=challenge,
        code=world.texted()[-1],
        session=SESSION,
        **world.handed_in(renewal, upgraded.key(CODE_OPEN).request()),
    )
    [(letter,)] = world.rows("SELECT id FROM dead_letters WHERE state = 'open'")
    world.app.back_office.replay_dead_letter(letter, who="teller 7", why="the CA is mended")
    world.drain_over(HOURS, step=STEP)
    for number in (ISSUED, CODE_OPEN, ISSUE_UNSURE):
        collected_and_proven(world, upgraded, number)
    station = world.station(TOKEN_JOB, DEAD_LETTER, pin=PIN)
    world.at_the_branch(station)
    station.incoming.close()
    world.drain_over(HOURS, step=STEP)

    assert answer.result == "right"
    renewed = (ISSUED, TOKEN_JOB, CODE_OPEN, PROVEN, DEAD_LETTER, ISSUE_UNSURE)
    assert dict(world.rows("SELECT id, state FROM renewals ORDER BY id")) == {
        f"R{number:08}-01": "done" for number in renewed
    }
    assert world.rows("SELECT state FROM payments") == [("paid",)]
    assert world.dead() == []
    assert world.rows("SELECT count(*) FROM parked") == [(0,)]
    assert set(counts(upgraded).values()) == {0}


def collected_and_proven(world: Scenario, home: OldHome, number: int) -> None:
    renewal = f"R{number:08}-01"
    assert world.centre.collect(renewal)
    world.centre.prove(renewal, home.key(number).sign(world.renewal(renewal).challenge))


def test_no_reminder_is_sent_twice_over_the_upgrade(world: Scenario) -> None:
    for _ in range(2):
        jobs.scan(world.app.store, world.app.policies)
        jobs.remind(world.app.store, world.app.policies)
        world.drain_over(HOURS, step=STEP)

    reminders = [line["to"] for line in world.outside("sms") if line["ref"].startswith("M")]
    assert reminders.count(mobile_of(TEXT_PENDING)) == 1
    assert reminders.count(mobile_of(TEXT_UNSURE)) == 1
    assert len(reminders) == len(set(reminders))


def test_values_of_before_are_bound_to_their_rows_by_a_rotation(upgraded: OldHome) -> None:
    """What an old backup holds cannot be put back: it opens with the first key alone."""
    done = upgraded.run("keys", "rotate", "columns")

    would = upgraded.run("keys", "rotate", "columns", "--dry-run")
    assert done.exit_code == 0, done.output
    assert "certificates.der" in done.output
    assert "columns would be number 3" in would.output
    assert counts(upgraded)["I9"] == 0
