"""The rules are cheap to import and ask nobody, not even the clock."""

from __future__ import annotations

import ast
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

from renewal import rules

HEAVY = {"holidays", "phonenumbers"}
MODULES = [f"renewal.rules.{module.name}" for module in pkgutil.iter_modules(rules.__path__)]
SOURCES = sorted(Path(rules.__path__[0]).glob("*.py"))


def test_no_heavy_library_is_loaded_before_it_is_needed() -> None:
    ask = f"import sys, {', '.join(MODULES)}; print(sorted({HEAVY!r} & set(sys.modules)))"

    said = subprocess.run([sys.executable, "-c", ask], capture_output=True, check=True, text=True)

    assert said.stdout.strip() == "[]"


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_no_rule_asks_for_the_time(source: Path) -> None:
    tree = ast.parse(source.read_text(encoding="utf-8"))

    asked = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}

    assert not asked & {"now", "today", "utcnow", "monotonic"}
