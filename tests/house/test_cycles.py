"""Shows that no module imports, by whatever way round, a module that imports it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import grimp
import pytest

from tests.house.sources import PACKAGES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


def circles(imports: Mapping[str, set[str]]) -> list[list[str]]:
    """The strongly connected components of more than one module (Tarjan 1972)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        order[module] = low[module] = len(order)
        path.append(module)
        for other in sorted(imports[module]):
            if other not in order:
                visit(other)
            if other in path:
                low[module] = min(low[module], low[other])
        if low[module] == order[module]:
            ring = path[path.index(module) :]
            del path[path.index(module) :]
            found.extend([sorted(ring)] if len(ring) > 1 else [])

    for module in sorted(imports):
        if module not in order:
            visit(module)
    return sorted(found)


def imports_of(*packages: str) -> Mapping[str, set[str]]:
    """Every import, those for types and those within functions too."""
    graph = grimp.build_graph(*packages, cache_dir=None)
    imported_by = graph.find_modules_directly_imported_by
    return {module: set(imported_by(module)) for module in graph.modules}


def test_no_two_modules_import_each_other_on_any_way() -> None:
    assert circles(imports_of(*PACKAGES)) == []


@pytest.fixture
def in_a_ring(tmp_path: Path) -> Iterator[str]:
    package = tmp_path / "ringed"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "first.py").write_text("import ringed.second\n")
    (package / "second.py").write_text("def late():\n    from ringed import third\n")
    (package / "third.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ringed.first import it\n"
    )
    sys.path.insert(0, str(tmp_path))
    yield package.name
    sys.path.remove(str(tmp_path))


def test_a_circle_of_three_is_seen_whatever_its_imports_are_for(in_a_ring: str) -> None:
    assert circles(imports_of(in_a_ring)) == [["ringed.first", "ringed.second", "ringed.third"]]
