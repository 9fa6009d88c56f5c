"""Templates are compiled once for all environments, and anew when their content differs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jinja2 import DictLoader, Environment

from templates.compiled import CompiledTemplates

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


def shouting(kept: CompiledTemplates, source: str, how: Callable[[str], str]) -> Environment:
    made = Environment(loader=DictLoader({"one": source}), autoescape=True, bytecode_cache=kept)
    made.filters["loud"] = how
    return made


def test_a_second_environment_compiles_nothing_and_keeps_its_own_filters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = CompiledTemplates()
    first = shouting(kept, "{{ word|loud }}", str.upper)
    assert first.get_template("one").render(word="now") == "NOW"
    monkeypatch.delattr(Environment, "compile")

    second = shouting(kept, "{{ word|loud }}", str.title)

    assert second.get_template("one").render(word="now") == "Now"


def test_another_content_under_the_same_name_is_another_template() -> None:
    kept = CompiledTemplates()
    shouting(kept, "{{ word }}", str).get_template("one")

    other = shouting(kept, "no {{ word }}", str)

    assert other.get_template("one").render(word="now") == "no now"
