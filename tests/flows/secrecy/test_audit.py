"""Lets staff act, and somebody change afterwards what the audit trail says of it."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from renewal.db.identity_map import ConflictError
from renewal.errors import XuqiError
from renewal.store import audit
from schema.events import Change, TokenDeclined
from tests.scenario.rows import BRANCH
from tests.scenario.sample import BROWSER, CARD, TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from back_office.actions import BackOffice
    from tests.scenario.scenario import Scenario

WHO, WHY = "teller 7", "the customer has asked for it"
BLANK = "0a0b0c0d"


def trail(world: Scenario) -> list[tuple[str, str, str]]:
    return [tuple(row) for row in world.rows("SELECT who, did, object FROM audit ORDER BY id")]


def broken(world: Scenario) -> list[int]:
    with world.app.store.snapshot() as look:
        return audit.broken_links(look)


def with_dead_letter(world: Scenario) -> int:
    world.app.log.append([TokenDeclined(renewal="R99999999-01", why="?")])
    world.drain()
    [(number,)] = world.rows("SELECT max(id) FROM dead_letters")
    return int(number)


def fill(world: Scenario) -> None:
    office = world.app.back_office
    letter = with_dead_letter(world)
    office.ask_change(BROWSER, Change.SUSPEND, who=WHO, why=WHY)
    office.ask_change(BROWSER, Change.RESUME, who=WHO, why=WHY)
    office.start(CARD, who=WHO, why=WHY, branch=BRANCH)
    office.replay_dead_letter(letter, who=WHO, why=WHY)
    world.drain()


def test_each_action_of_staff_leaves_a_line(world: Scenario) -> None:
    office = world.app.back_office
    letter = with_dead_letter(world)

    for change in Change:
        office.ask_change(BROWSER, change, who=WHO, why=WHY)
    office.start(CARD, who=WHO, why=WHY, branch=BRANCH)
    office.start(TOKEN, who=WHO, why=WHY, branch=BRANCH)  # refused: it is not paid
    office.replace_token(TOKEN, BLANK, who=WHO, why=WHY, branch=BRANCH)
    office.end("R00000003-01", who=WHO, why=WHY)
    office.replay_dead_letter(letter, who=WHO, why=WHY)
    world.drain()
    office.relay_again(7, who=WHO, why=WHY)
    number = office.enrol_station("002", bytes(32), who=WHO, why=WHY)
    office.code_for_station("002", who=WHO, why=WHY)
    office.revoke_station(number, who=WHO, why=WHY)

    assert trail(world) == [
        (WHO, "suspend", "certificate 1"),
        (WHO, "resume", "certificate 1"),
        (WHO, "revoke", "certificate 1"),
        (WHO, "start renewal", "certificate 3"),
        (WHO, "start renewal", "certificate 2"),
        (WHO, "replace token", f"certificate 2, token {BLANK}"),
        (WHO, "end renewal", "renewal R00000003-01"),
        (WHO, "replay", f"dead letter {letter}"),
        (WHO, "relay again", "from event 7"),
        (WHO, "enrol station", f"station {number} of branch 002"),
        (WHO, "station code", "branch 002"),
        (WHO, "revoke station", f"station {number}"),
    ]
    assert broken(world) == []


def test_no_action_of_the_back_office_is_without_its_test(world: Scenario) -> None:
    actions = {name for name in dir(world.app.back_office) if not name.startswith("_")}

    assert actions - {"store", "policies", "branches", "check_branch"} == {
        "ask_change",
        "begin_import",
        "code_for_station",
        "enrol_station",
        "end",
        "end_task",
        "relay_again",
        "replace_token",
        "replay_dead_letter",
        "revoke_station",
        "settle_fee",
        "settle_old",
        "start",
    }


ACTIONS: dict[str, Callable[[BackOffice, str, str], object]] = {
    "change": lambda office, who, why: office.ask_change(BROWSER, Change.REVOKE, who=who, why=why),
    "start": lambda office, who, why: office.start(CARD, who=who, why=why, branch=BRANCH),
    "replace": lambda office, who, why: office.replace_token(
        CARD, BLANK, who=who, why=why, branch=BRANCH
    ),
    "code": lambda office, who, why: office.code_for_station(BRANCH, who=who, why=why),
    "end": lambda office, who, why: office.end("R00000001-01", who=who, why=why),
    "import": lambda office, who, why: office.begin_import("customers", which=why, who=who),
    "replay": lambda office, who, why: office.replay_dead_letter(1, who=who, why=why),
    "relay": lambda office, who, why: office.relay_again(1, who=who, why=why),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_whoever_does_not_say_who_and_why_does_nothing(world: Scenario, action: str) -> None:
    world.requested(BROWSER)
    with_dead_letter(world)
    before = world.rows("SELECT count(*) FROM events")

    for who in ("", "  ", "x" * 65):
        with pytest.raises(XuqiError, match="say who"):
            ACTIONS[action](world.app.back_office, who, WHY)
    for why in ("", " \n", "x" * 301):
        with pytest.raises(XuqiError, match="say why"):
            ACTIONS[action](world.app.back_office, WHO, why)

    assert trail(world) == []
    assert world.rows("SELECT count(*) FROM events") == before
    assert world.rows("SELECT state FROM dead_letters") == [("open",)]


def test_what_fails_leaves_no_line(world: Scenario) -> None:
    with pytest.raises(XuqiError, match="no open dead letter"):
        world.app.back_office.replay_dead_letter(1, who=WHO, why=WHY)

    assert trail(world) == []


def test_many_at_once_leave_one_chain(world: Scenario) -> None:
    office = world.app.back_office

    def act(turn: int) -> None:
        office.ask_change(BROWSER, Change.SUSPEND, who=f"teller {turn}", why=WHY)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(act, range(24)))

    assert len(trail(world)) == 24
    assert broken(world) == []


@pytest.mark.parametrize("statement", ["UPDATE audit SET why = 'x'", "DELETE FROM audit"])
def test_the_trail_takes_no_change(world: Scenario, statement: str) -> None:
    fill(world)

    with pytest.raises(ConflictError, match="append-only"), world.app.store.transaction() as work:
        work.connection.execute(sa.text(statement))

    assert broken(world) == []


def tampered(world: Scenario, statement: str) -> None:
    """Change the file as somebody would who has it."""
    with closing(sqlite3.connect(world.home / "store.db")) as file, file:
        file.execute("DROP TRIGGER audit_no_update")
        file.execute("DROP TRIGGER audit_no_delete")
        assert file.execute(statement).rowcount > 0


@pytest.mark.parametrize("row", [1, 4])
@pytest.mark.parametrize(
    "change",
    [
        "at = '2026-03-02 02:00:00.000001'",
        "who = 'teller 8'",
        "did = 'look'",
        "object = 'certificate 9'",
        "why = ''",
        "hash = zeroblob(32)",
        "who = 'teller 7s', did = substr(did, 2)",
    ],
)
def test_a_changed_line_is_noticed(world: Scenario, row: int, change: str) -> None:
    fill(world)

    tampered(world, f"UPDATE audit SET {change} WHERE id = {row}")  # noqa: S608 - our own words

    assert row in broken(world)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit WHERE id = 1",
        "DELETE FROM audit WHERE id = 2",
        (
            "INSERT INTO audit SELECT 5, at, who, did, object, why, hash, os_user, scheme "
            "FROM audit WHERE id = 4"
        ),
        "UPDATE audit SET id = id + 1 WHERE id = 4",
        "UPDATE audit SET id = 1 - id WHERE id = 1",
    ],
)
def test_a_line_that_is_gone_moved_or_added_is_noticed(world: Scenario, statement: str) -> None:
    fill(world)

    tampered(world, statement)

    assert broken(world) != []
