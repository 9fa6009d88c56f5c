"""The same story on Kafka and PostgreSQL, told by processes that are killed at random."""

from __future__ import annotations

import json
import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from simulation.nemesis import Member, Members
from simulation.run import main, main_on_kafka
from tests.simulation.test_demo import FIELDS, rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from pathlib import Path

    from simulation.components import DemoSettings

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.postgresql,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    # A client that lost its broker at the end leaves its sockets to be collected.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
DAYS, CUSTOMERS = 16, 24


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("apart") / "demo-kafka"
    assert main_on_kafka(seed=7, customers=CUSTOMERS, days=DAYS, home=home) == 0
    return home


@pytest.fixture(scope="module")
def report(home: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((home / "report.json").read_text(encoding="utf-8"))
    return told


def test_nothing_goes_wrong_in_it_whoever_is_killed(report: dict[str, Any]) -> None:
    assert report["check"] == dict.fromkeys(("I1", "I2", "I3", "I4", "I5", "I8", "I9", "I10"), 0)
    assert report["judged"] == []
    assert report["dead_letters"] == 0
    assert sum(report["books"].values()) == 0
    assert set(report["used"]) == {"ok"}


def test_it_says_how_many_were_killed_and_that_none_ended_otherwise(
    report: dict[str, Any],
) -> None:
    assert sum(report["kills"].values()) >= 3
    assert report["ended"] == []


def test_its_ledgers_have_the_form_of_those_of_one_process(home: Path) -> None:
    for ledger, fields in FIELDS.items():
        found = rows(home, ledger)
        assert found, ledger
        for row in found:
            assert set(row) - {"final", "code"} == fields, ledger
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", row["at"])


def test_it_comes_out_like_that_of_one_process(
    home: Path, report: dict[str, Any], tmp_path: Path
) -> None:
    """Who is told of what and renews is the same; what fails outside, and when, is not."""
    alone = tmp_path / "alone"
    assert main(seed=7, customers=CUSTOMERS, days=DAYS, home=alone) == 0
    other = json.loads((alone / "report.json").read_text(encoding="utf-8"))

    assert report["certificates"] == other["certificates"]
    assert report["traits"] == other["traits"]
    for product, row in report["products"].items():
        assert row["reminded"] == other["products"][product]["reminded"], product
    assert _asked(home) == _asked(alone)


def _asked(home: Path) -> set[tuple[str, str]]:
    return {
        (row["customer"], row["product"])
        for row in rows(home, "customers.jsonl")
        if row["did"] == "asked"
    }


# --- processes ------------------------------------------------------------------------------------


def answers(member: str, demo: DemoSettings, story: Connection) -> None:
    """A component that says its process id, and does what it is asked."""
    del demo
    story.send((member, os.getpid()))
    while True:
        word = story.recv()
        if word == "end":
            os._exit(3)
        story.send(word)


@contextmanager
def one_member(home: Path) -> Iterator[Members]:
    from simulation.components import DemoSettings  # noqa: PLC0415 - a type elsewhere
    from xuqi.settings import Settings  # noqa: PLC0415

    (home / "logs").mkdir()
    demo = DemoSettings(settings=Settings(home=home), seed=1, empty=frozenset())
    members = Members({"one": Member("one", answers, demo)}, seed=1)
    with members.running():
        yield members


def pipe_of(members: Members) -> Any:  # noqa: ANN401 - multiprocessing's own
    return members.members["one"].pipe


def test_who_is_killed_is_started_anew_and_counted(tmp_path: Path) -> None:
    with one_member(tmp_path) as members:
        first = pipe_of(members).recv()
        members.kill("one")
        second = pipe_of(members).recv()

    assert first[0] == second[0] == "one"
    assert first[1] != second[1]
    assert members.kills == {"one": 1}
    assert members.ended == []


def test_who_ends_by_itself_is_started_anew_and_named(tmp_path: Path) -> None:
    with one_member(tmp_path) as members:
        before = pipe_of(members)
        before.recv()
        before.send("end")
        with pytest.raises(EOFError):
            before.recv()
        while (after := pipe_of(members)) is before:
            pass
        assert after.recv()[0] == "one"

    assert members.ended == ["one: exit code 3"]
    assert members.kills == {}
