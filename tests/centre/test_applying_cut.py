"""The power fails at each step of the CA: one certificate comes of an application, and one only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.scenario.sample import BROWSER, PRODUCTS, open_sample
from xuqi.check import counts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from simulation.client import BrowserKey
    from tests.scenario.scenario import Scenario

NEWCOMER = 11


class PowerCut(BaseException):
    """Nothing after this line happens."""


class Cutter:
    """Lets the power fail where a step is passed for the first time."""

    def __init__(self, at: str = "") -> None:
        self.at = at
        self.group = ""
        self.passed: list[str] = []

    def __call__(self, point: str) -> None:
        self.passed.append(f"{self.group}: {point}")
        if self.passed[-1] == self.at and self.passed.count(self.at) == 1:
            raise PowerCut


@pytest.fixture(scope="module")
def confirmed(
    first_world: Scenario, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Scenario, str, BrowserKey]:
    """A bank, closed, whose newcomer has just confirmed an application."""
    world = open_sample(tmp_path_factory.mktemp("confirmed") / "home", like=first_world)
    world.enrol(NEWCOMER, PRODUCTS[BROWSER])
    application, key = world.applied(NEWCOMER, PRODUCTS[BROWSER])
    world.close()
    return world, application.id, key


def delivered(world: Scenario, cutter: Cutter, *groups: str) -> None:
    """To one consumer after the other; whoever was cut off comes back."""
    for cutter.group in groups:
        try:
            world.drain_to(cutter.group)
        except PowerCut:
            world.drain_to(cutter.group)


def played(
    confirmed: tuple[Scenario, str, BrowserKey], home: Path, cutter: Cutter
) -> dict[str, object]:
    """What is on record and outside in the end."""
    before, application, key = confirmed
    world = open_sample(home, like=before)
    world.probe = cutter
    delivered(world, cutter, "billing", "issuance", "records")
    world.centre.collect(application)
    world.centre.prove(application, key.sign(world.renewal(application).challenge))
    delivered(world, cutter, "billing", "revocation", "records", "notices")
    world.drain()
    violated = {name for name, count in counts(world.app).items() if count}
    ended: dict[str, object] = {
        "renewal": world.rows("SELECT state, old_state, fee_state FROM renewals"),
        "certificate": world.rows("SELECT state FROM certificates WHERE customer = 11"),
        "at the CA": [one["op"] for one in world.outside("ca") if one["op"] == "issue"],
        "told": world.rows("SELECT kind, state FROM messages WHERE kind <> 'code'"),
        "dead letters": world.rows("SELECT count(*) FROM dead_letters"),
        "violated": violated,
    }
    world.close()
    return ended


@pytest.fixture
def homes(tmp_path: Path) -> Iterator[Path]:
    return (tmp_path / f"home-{number}" for number in range(1000))


@pytest.mark.shows("B18")
def test_wherever_the_power_fails_one_certificate_is_issued_and_told_once(
    confirmed: tuple[Scenario, str, BrowserKey], homes: Iterator[Path]
) -> None:
    unhurt = Cutter()
    expected = played(confirmed, next(homes), unhurt)
    at_the_ca = [point for point in unhurt.passed if point.startswith("issuance: ")]
    mine = list(dict.fromkeys(at_the_ca))  # the rest of it is the renewal's, killed in tests/crash

    wrong = {
        point: ended
        for point in mine
        if (ended := played(confirmed, next(homes), Cutter(point))) != expected
    }

    assert expected["renewal"] == [("done", "none", "none")]
    assert expected["at the CA"] == ["issue"] * (3 + 1)  # of the sample, and ours
    assert expected["violated"] == set()
    assert len(mine) > 6
    assert wrong == {}
