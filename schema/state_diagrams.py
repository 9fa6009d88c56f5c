"""Draws each state machine as Mermaid, for docs/states.md."""

from __future__ import annotations

import sys
from pathlib import Path

from schema.state_machine import Machine, Owner, State
from schema.states import MACHINES

HEAD = """\
# States 狀態

Drawn from `schema/states.py` by `python -m schema.state_diagrams docs/states.md`, and held equal \
to it by a test: do not edit. Only `renewal/lifecycle/` writes a state, and a transition that is \
not here raises.
"""
_OWNERS = {Owner.CUSTOMER: "customer", Owner.MACHINE: "machine", Owner.STAFF: "staff"}


def document() -> str:
    return "\n".join([HEAD, *(_section(machine) for machine in MACHINES.values())])


def _section(machine: Machine) -> str:
    rows = [f"| `{state.value}` | {_kind(machine, state)} | {state.meaning} |" for state in
            machine.states]  # fmt: skip
    return "\n".join(
        [
            f"## {machine.name.capitalize()}",
            "",
            "```mermaid",
            "stateDiagram-v2",
            *_arrows(machine),
            "```",
            "",
            "| state | | meaning |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def _arrows(machine: Machine) -> list[str]:
    names = [f'    state "{state.value}" as {_id(state)}' for state in machine.states]
    begin = [f"    [*] --> {_id(state)}" for state in machine.initial]
    steps: dict[tuple[State, State], list[str]] = {}
    for step in machine.transitions:
        who = f"{_OWNERS[step.owner]} ({step.through})"
        steps.setdefault((step.source, step.target), []).append(who)
    moves = [
        f"    {_id(one)} --> {_id(then)}: {', '.join(whos)}" for (one, then), whos in steps.items()
    ]
    ends = [f"    {_id(state)} --> [*]" for state in machine.states if state in machine.ended]
    return [*names, *begin, *moves, *ends]


def _kind(machine: Machine, state: State) -> str:
    return "open" if state in machine.open else "ended"


def _id(state: State) -> str:
    return state.name.lower()


def main(path: Path) -> None:
    """Write the document: ``python -m schema.state_diagrams docs/states.md``."""
    path.write_text(document(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
