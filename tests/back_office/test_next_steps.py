"""No record in an open state is without a next step that some person takes on a page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from starlette.routing import Match

from back_office.console.app import console_app
from schema import states
from schema.state_machine import Machine, Owner, State

if TYPE_CHECKING:
    from fastapi import FastAPI

    from tests.scenario.scenario import Scenario

STATION = "station"  #: its screen is where the token is
#: The page's form that takes the step of a command.
FORMS = {
    "renewals start": "/certificates/{certificate}/{what}",
    "renewals end": "/renewals/{renewal}/end",
    "renewals decline": "/renewals/{renewal}/decline",
    "renewals settle": "/renewals/{renewal}/settle-fee",
    "payments settle": "/payments/{payment}/settle",
    "messages settle": "/messages/{message}/settle",
    "dead-letters replay": "/dead-letters/replay",
    "dead-letters close": "/dead-letters/{number}/close",
    "tasks done": "/tasks/{task}/{how}",
    "run submit": "/runs/{run}/submit",
    "run approve": "/runs/{run}/approve",
    "run reject": "/runs/{run}/reject",
    "run start": "/runs/{run}/start",
    "run pause": "/runs/{run}/pause",
    "run resume": "/runs/{run}/resume",
    "run retry": "/runs/{run}/retry",
    "run cancel": "/runs/{run}/cancel",
    "recordings record": "/recordings/{renewal}",
    "certificates suspend": "/certificates/{certificate}/{what}",
    "certificates resume": "/certificates/{certificate}/{what}",
    "certificates revoke": "/certificates/{certificate}/{what}",
}
WALKED = (
    states.RENEWAL, states.PAYMENT, states.MESSAGE, states.TOKEN_JOB, states.DEAD_LETTER,
    states.TASK, states.RUN, states.RECORDING, states.FEE, states.OLD, states.CERTIFICATE,
)  # fmt: skip
OPEN = [
    pytest.param(machine, state, id=f"{machine.name}: {state}")
    for machine in WALKED
    for state in sorted(machine.open)
]


def doors(machine: Machine, state: State) -> set[str]:
    """What a member of staff can do in this state, by command."""
    return {
        step.through
        for step in machine.transitions
        if step.source is state and step.owner is Owner.STAFF
    }


@pytest.mark.parametrize(("machine", "state"), OPEN)
def test_an_open_state_has_a_step_that_a_person_takes_on_a_page(
    machine: Machine, state: State
) -> None:
    found = doors(machine, state)
    on_page = {door for door in found if door in FORMS or door == STATION}

    assert on_page, f"{machine.name} {state}: staff can {found or 'nothing'}"


def test_each_of_these_forms_is_on_the_console(world: Scenario) -> None:
    app = console_app(world.app.store, world.app.policies, renderer=world.app.renderer)
    filled = {re.sub(r"{\w+}", "1", path) for path in FORMS.values()}

    assert [path for path in filled if not takes(app, path)] == []
    assert not takes(app, "/renewals/1/vanish")


def takes(app: FastAPI, path: str) -> bool:
    """Whether a form can be posted there."""
    scope = {"type": "http", "method": "POST", "path": path, "root_path": "", "headers": []}
    return any(route.matches(scope)[0] is Match.FULL for route in app.routes)


@pytest.mark.parametrize("machine", WALKED, ids=lambda machine: str(machine.name))
def test_from_each_open_state_people_alone_can_come_to_an_end(machine: Machine) -> None:
    """A step that leads only round in a circle is none."""
    ends = set(machine.ended)
    grown = True
    while grown:
        reached = {
            step.source
            for step in machine.transitions
            if step.owner is not Owner.MACHINE and step.target in ends
        }
        grown = not reached <= ends
        ends |= reached

    assert machine.open - ends == set()
