"""Shows that no record can be in a state that nobody can move it on from."""

import pytest

from schema.state_machine import Machine, Owner, TransitionError, steps
from schema.states import FEE, MACHINES, RENEWAL, CertificateState

each_machine = pytest.mark.parametrize("machine", MACHINES.values(), ids=list(MACHINES))


@each_machine
def test_each_open_state_has_a_next_step(machine: Machine) -> None:
    can_be_left = {step.source for step in machine.transitions}

    assert machine.open - can_be_left == set()


@each_machine
def test_each_open_state_can_reach_an_end(machine: Machine) -> None:
    reaches = set(machine.ended)
    while True:
        before = set(reaches)
        reaches |= {step.source for step in machine.transitions if step.target in reaches}
        if reaches == before:
            break

    assert set(machine.open) - reaches == set()


@each_machine
def test_each_state_can_be_reached(machine: Machine) -> None:
    reached = {*machine.initial, *(step.target for step in machine.transitions)}

    assert set(machine.states) - reached == set()


@each_machine
def test_each_state_says_what_it_means(machine: Machine) -> None:
    meanings = [state.meaning for state in machine.states]

    assert all(meaning.endswith(".") for meaning in meanings)
    assert len(set(meanings)) == len(meanings)


@each_machine
def test_no_transition_stands_twice(machine: Machine) -> None:
    steps = [(one.source, one.target, one.owner, one.through) for one in machine.transitions]

    assert len(set(steps)) == len(steps)


#: A one-time code needs nobody: its time ends it.
@pytest.mark.parametrize("name", sorted(set(MACHINES) - {"one-time code"}))
def test_a_person_of_the_staff_can_move_on_whatever_is_open(name: str) -> None:
    machine = MACHINES[name]
    by_staff = {step.source for step in machine.transitions if step.owner is Owner.STAFF}

    assert set(machine.open) - by_staff == set()


def test_a_transition_that_is_not_in_the_table_is_an_error() -> None:
    with pytest.raises(TransitionError, match="done never becomes requested"):
        RENEWAL.check("done", "requested")


def test_a_transition_that_is_in_the_table_is_none() -> None:
    FEE.check("held", "captured")


@pytest.mark.parametrize(
    "row",
    [
        "active -> gone | staff somehow",
        "gone -> active | staff somehow",
        "active -> revoked | nobody somehow",
        "active revoked | staff somehow",
    ],
)
def test_a_row_with_a_state_or_an_owner_that_there_is_not_is_no_transition(row: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - Python's own: of an enum, or of unpacking
        steps(CertificateState, row)


def test_a_row_may_be_made_in_several_ways() -> None:
    made = steps(CertificateState, "active -> revoked | customer page ending | machine job x")

    assert [(step.owner, step.through) for step in made] == [
        (Owner.CUSTOMER, "page ending"),
        (Owner.MACHINE, "job x"),
    ]
    assert {(step.source, step.target) for step in made} == {
        (CertificateState.ACTIVE, CertificateState.REVOKED)
    }
