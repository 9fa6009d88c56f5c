"""Shows that one class name means one thing in the whole project."""

import ast
from collections import defaultdict

from tests.house.sources import modules, place


def test_no_two_modules_define_a_public_class_of_the_same_name() -> None:
    defined = defaultdict(list)

    for path in modules():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                defined[node.name].append(place(path))

    assert len(defined) > 400
    assert {name: homes for name, homes in defined.items() if len(homes) > 1} == {}
