"""Shows that states are changed in one package only, by transitions that are drawn and owned."""

import ast
from importlib import import_module

import click
import pytest

from consumers.registry import CONSUMERS
from schema.state_diagrams import document
from schema.state_machine import Machine, Transition
from schema.states import MACHINES, TokenJobState
from tests.house.sources import ROOT, modules, place
from token_station.journal import Step
from xuqi.cli.main import COMMANDS

#: Columns that hold a state, and the maps of a unit of work whose rows have them.
STATES = {"state", "fee_state", "old_state"}
MAPS = {"certificates", "renewals", "payments", "messages", "runs", "run_items", "tasks",
        "tokens", "recordings"}  # fmt: skip
HOME = "renewal/lifecycle/"
PRODUCT = ("schema", "templates", "renewal", "scheduler", "producers", "consumers", "token_station",
           "centre", "back_office", "web", "xuqi")  # fmt: skip
STEPS = [
    pytest.param(machine, step, id=f"{machine.name}: {step.source} to {step.target}")
    for machine in MACHINES.values()
    for step in machine.transitions
]


def changes_a_state(node: ast.AST) -> bool:
    """Whether it is ``uow.renewals.change(row, state=...)``, or puts a row with its state."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    of = node.func.value
    if not isinstance(of, ast.Attribute) or of.attr not in MAPS:
        return False
    named = {keyword.arg for keyword in node.keywords}
    return node.func.attr == "put" or (node.func.attr == "change" and bool(named & STATES))


def found_in(text: str) -> bool:
    return any(changes_a_state(node) for node in ast.walk(ast.parse(text)))


def test_no_other_module_changes_a_state() -> None:
    product = [path for path in modules() if place(path).startswith(PRODUCT)]
    found = {place(path) for path in product if found_in(path.read_text(encoding="utf-8"))}

    assert {where for where in found if not where.startswith(HOME)} == set()
    assert any(where.startswith(HOME) for where in found)


def test_a_change_of_state_is_seen() -> None:
    assert found_in("work.renewals.change(row, state='done')")
    assert found_in("uow.payments.put(row)")
    assert not found_in("work.renewals.change(row, collected_told=3)")


def test_the_document_draws_what_the_code_has() -> None:
    assert (ROOT / "docs" / "states.md").read_text(encoding="utf-8") == document()


def test_a_station_writes_the_states_of_a_job_that_are_drawn() -> None:
    assert {step.value for step in Step} == {state.value for state in TokenJobState}


def made_by(through: str) -> bool:
    """Whether what a transition names is there: a consumer, a job, a page, a command."""
    kind, _, name = through.partition(" ")
    match kind:
        case "consumer":
            return name in CONSUMERS
        case "job":
            there = hasattr(import_module("scheduler.jobs"), name)
            return there or (ROOT / "scheduler" / f"{name}.py").is_file()
        case "page":
            return any((ROOT / "centre" / "pages").glob(f"*{name[:4]}*.py"))
        case "station" | "clock":
            return not name
        case _:
            return is_command(kind, name)


def is_command(group: str, name: str) -> bool:
    if group not in COMMANDS:
        return False
    module = COMMANDS[group][0]
    command = import_module(module if "." in module else f"xuqi.cli.commands.{module}").command
    return not name or (isinstance(command, click.Group) and name in command.commands)


@pytest.mark.parametrize(("machine", "step"), STEPS)
def test_each_transition_is_made_by_something_that_there_is(
    machine: Machine, step: Transition
) -> None:
    assert made_by(step.through), f"{machine.name}: nothing is called {step.through!r}"


def test_what_there_is_not_makes_no_transition() -> None:
    assert not made_by("renewals vanish")
    assert not made_by("consumer nobody")
    assert not made_by("job nothing")
    assert not made_by("page moon")
