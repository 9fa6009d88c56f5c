"""Shows that words which the glossary has replaced do not come back as names (docs/style.md)."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tests.house.sources import modules, place

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The old word, and what is written now.
REPLACED = {
    "house": "app",
    "room": "component",
    "rooms": "components",
    "hand": "worker",
    "hands": "workers",
    "wave": "batch_pass",
    "shelf": "identity_map",
    "weather": "faults",
    "voice": "renderer",
    "besides": "also_due, and_do",
    "meanwhile": "concurrent",
    "owing": "due",
    "cycle": "lifecycle, rules",
    "desk": "context",
    "said": "what it is: a sentence, an answer, a verdict",
}


def names(text: str) -> Iterator[tuple[int, str]]:
    """Each name that a module makes or uses, without its underscores, and its line."""
    for node in ast.walk(ast.parse(text)):
        for field in ("id", "arg", "attr", "name"):
            name = getattr(node, field, None)
            if isinstance(name, str):
                yield getattr(node, "lineno", 0), name.strip("_")


def test_no_name_is_a_word_that_was_replaced() -> None:
    found = [
        f"{place(path)}:{line}: {name}, write {REPLACED[name]}"
        for path in modules()
        for line, name in names(path.read_text(encoding="utf-8"))
        if name in REPLACED
    ]

    assert found == []


def test_no_module_is_called_by_a_word_that_was_replaced() -> None:
    assert [place(path) for path in modules() if path.stem in REPLACED] == []


@pytest.mark.parametrize(
    "text",
    ["house = 1", "self._house.go()", "def hands(): ...", "call(rooms=2)", "x = lambda wave: 1"],
)
def test_a_replaced_word_is_found_wherever_it_is_a_name(text: str) -> None:
    assert {name for _, name in names(text)} & REPLACED.keys()
