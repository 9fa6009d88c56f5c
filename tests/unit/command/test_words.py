"""Shows that whatever is decided can be told in both languages."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from renewal.rules.eligibility import Refusal
from renewal.rules.suppression import Suppression
from schema.tables.renewals import ENDED, OPEN
from xuqi import words
from xuqi.language import Lang

ROOT = Path(__file__).parents[3]
ROOMS = ("back_office", "centre", "consumers", "producers", "renewal", "scheduler")


def decided_in(path: Path) -> set[tuple[str, str]]:
    """What is decided there, as far as it is written out."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "decide":
            said = [arg.value for arg in node.args[1:3] if isinstance(arg, ast.Constant)]
            if len(said) == 2:
                found.add((str(said[0]), str(said[1])))
    return found


def test_every_decision_that_the_house_can_take_has_words() -> None:
    decided = {
        one for room in ROOMS for path in (ROOT / room).rglob("*.py") for one in decided_in(path)
    }

    assert ("renewal", "requested") in decided
    assert decided - words.DECIDED.keys() == set()


@pytest.mark.parametrize("reason", [*Refusal, *Suppression])
def test_every_reason_of_the_rules_has_words(reason: Refusal | Suppression) -> None:
    assert words.reason(Lang.ZH, reason.value) != reason.value
    assert words.reason(Lang.EN, reason.value) == reason.value


@pytest.mark.parametrize("state", [*OPEN, *ENDED])
def test_every_state_of_a_renewal_has_words(state: str) -> None:
    assert state in words.STATES


def row(**named: object) -> dict[str, object]:
    empty = {"why": "", "threshold": None, "channel": None, "until": None, "message": None}
    return {**empty, "renewal": None, **named}


def test_a_decision_of_tomorrow_is_told_as_it_is_stored() -> None:
    told = words.decision(Lang.EN, row(about="moon", what="risen", why="it is night"))

    assert told == "moon: risen: it is night"


@pytest.mark.parametrize(
    ("threshold", "zh", "en"),
    [
        (30, "到期前 30 天", "30 days before the end"),
        (0, "到期前 0 天", "0 days before the end"),
        (-14, "到期後 14 天", "14 days after the end"),
    ],
)
def test_a_threshold_is_told_from_the_end(threshold: int, zh: str, en: str) -> None:
    decided = row(about="reminder", what="claimed", threshold=threshold)

    assert zh in words.decision(Lang.ZH, decided)
    assert en in words.decision(Lang.EN, decided)
