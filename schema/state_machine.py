"""What a state machine is: states, allowed transitions, and who makes each of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum, auto
from typing import Self


class State(StrEnum):
    """A state; its value is what the database keeps, ``meaning`` is one sentence about it."""

    _value_: str
    meaning: str

    def __new__(cls, value: str, meaning: str = "") -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    @classmethod
    def check(cls, column: str = "state") -> str:
        """The condition of a table: the column holds one of these states."""
        return f"{column} IN (" + ", ".join(f"'{state.value}'" for state in cls) + ")"


class Owner(StrEnum):
    """Who makes a transition."""

    CUSTOMER = auto()
    MACHINE = auto()
    STAFF = auto()


@dataclass(frozen=True, kw_only=True)
class Transition:
    """
    One allowed change of state.

    ``through`` names what makes it: ``consumer NAME``, ``job NAME``, ``page NAME``, ``station``,
    or the words of a command after ``xuqi``.
    """

    source: State
    target: State
    owner: Owner
    through: str


class TransitionError(ValueError):
    """A change of state that the machine does not allow; nothing was changed."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """
    The states of one kind of record.

    ``open``: something is still owed, so somebody must be able to move it on.
    """

    name: str
    states: type[State]
    initial: tuple[State, ...]
    open: frozenset[State]
    transitions: tuple[Transition, ...]
    _pairs: frozenset[tuple[str, str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        pairs = frozenset((step.source.value, step.target.value) for step in self.transitions)
        object.__setattr__(self, "_pairs", pairs)

    @property
    def ended(self) -> frozenset[State]:
        return frozenset(self.states) - self.open

    def allows(self, source: str, target: str) -> bool:
        return (source, target) in self._pairs

    def check(self, source: str, target: str) -> None:
        """
        Raises:
            TransitionError: this machine has no transition between the two.
        """
        if not self.allows(source, target):
            raise TransitionError(f"{self.name}: {source!s} never becomes {target!s}")


def steps(states: type[State], *rows: str) -> tuple[Transition, ...]:
    """
    Read transitions from rows of the form ``source -> target | owner through | owner through``.

    Raises:
        ValueError: a row names a state or an owner that there is not.
    """
    return tuple(step for row in rows for step in _of_row(states, row))


def _of_row(states: type[State], row: str) -> list[Transition]:
    move, *ways = row.split(" | ")
    source, target = (states(name) for name in move.split(" -> "))
    return [
        Transition(source=source, target=target, owner=Owner(owner), through=through)
        for owner, _, through in (way.partition(" ") for way in ways)
    ]
