"""Tests stand where their package stands, on one scenario, and time is moved by two clocks."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.house.sources import ROOT

TESTS = ROOT / "tests"
#: What goes across the packages, and what tests stand on.
ACROSS = {"crash", "flows", "found", "house", "scenario", "servers", "upgrades"}
#: Of the product's module `pkcs11`, whose name is also that of a library.
OTHERWISE = {Path("token_station/pkcs11_tokens")}


def test_each_folder_of_tests_is_a_package_or_goes_across() -> None:
    folders = {path.parent.relative_to(TESTS) for path in TESTS.rglob("test_*.py")}

    homeless = {
        folder
        for folder in folders - OTHERWISE
        if folder.parts[0] not in ACROSS
        and not (ROOT / folder).is_dir()
        and not (ROOT / folder).with_suffix(".py").is_file()
    }

    assert len(folders) > 20
    assert homeless == set()


def test_no_folder_has_fixtures_of_its_own_that_are_the_roots() -> None:
    shared = _fixtures(TESTS / "conftest.py")

    again = {
        (str(path.relative_to(TESTS)), name)
        for path in TESTS.rglob("conftest.py")
        if path.parent != TESTS
        for name in _fixtures(path) & shared
    }

    assert again == {
        ("back_office/imports/conftest.py", "store"),  # apart from the files that are imported
        ("centre/pages/conftest.py", "first_world"),  # its customers have passwords
        ("flows/kafka/conftest.py", "postgresql"),  # without tables
        ("upgrades/conftest.py", "postgresql"),  # the server of homes that older versions made
    }


def test_no_test_has_a_virtual_clock_of_its_own() -> None:
    clocks = {
        (path.name, node.name)
        for path in TESTS.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        and any(isinstance(one, ast.FunctionDef) and one.name == "advance_to" for one in node.body)
    }

    assert clocks == set()


def _fixtures(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and any("pytest.fixture" in ast.unparse(one) for one in node.decorator_list)
    }
