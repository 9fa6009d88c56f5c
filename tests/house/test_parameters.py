"""Shows that no function has come to more parameters than a reader can hold."""

from __future__ import annotations

import ast

from tests.house.sources import modules, place

MOST = 10
#: A command of click has an option for each parameter.
COMMANDS = "xuqi/cli/commands/"


def count(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    args = function.args
    named = [*args.posonlyargs, *args.args, *args.kwonlyargs]
    return len([one for one in named if one.arg not in {"self", "cls"}])


def test_a_function_with_many_parameters_takes_a_value_object() -> None:
    long = [
        f"{place(path)}:{node.lineno} {node.name} ({count(node)})"
        for path in modules()
        if not place(path).startswith(COMMANDS)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and count(node) > MOST
    ]

    assert long == []
