"""Results as a table for people and as JSON for programs."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, kw_only=True)
class Figure:
    """
    One line of the table. ``reached``: whether the goal was; ``None``, if there is none.

    ``shown``: what people see of it, if it is more than the value with its unit.
    """

    what: str
    value: float
    unit: str
    goal: str = ""
    reached: bool | None = None
    method: str = ""
    shown: str = ""


def at_least(
    what: str, value: float, unit: str, goal: float, *, method: str = "", shown: str = ""
) -> Figure:
    return Figure(
        what=what,
        value=value,
        unit=unit,
        goal=f"≥ {goal:,g} {unit}",
        reached=value >= goal,
        method=method,
        shown=shown,
    )


def at_most(
    what: str, value: float, unit: str, goal: float, *, method: str = "", shown: str = ""
) -> Figure:
    return Figure(
        what=what,
        value=value,
        unit=unit,
        goal=f"≤ {goal:,g} {unit}",
        reached=value <= goal,
        method=method,
        shown=shown,
    )


def machine() -> Mapping[str, Any]:
    return {
        "cores": os.cpu_count(),
        "processor": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of what was measured in turn, each beside its own neighbour."""
    return median([one / other for one, other in zip(ours, theirs, strict=True)])


def as_json(figures: Sequence[Figure]) -> Mapping[str, Any]:
    return {"machine": machine(), "figures": [asdict(figure) for figure in figures]}


def as_markdown(figures: Sequence[Figure]) -> str:
    """The table as the README has it, and below it the machine and how each was measured."""
    lines = ["| what | figure | goal |", "|---|---:|---:|"]
    for one in figures:
        goal = f"{one.goal}, missed" if one.reached is False else one.goal
        lines.append(f"| {one.what} | {one.shown or rounded(one.value, one.unit)} | {goal} |")
    on = machine()
    lines += [
        "",
        "{cores} cores ({processor}, {system}), Python {python}, SQLite {sqlite}.".format(**on),
        "",
    ]
    methods = dict.fromkeys(one.method for one in figures if one.method)
    return "\n".join([*lines, *(f"- {method}" for method in methods), ""])


def rounded(value: float, unit: str) -> str:
    """With the figures that count: three, or all before the point."""
    text = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - as it says
    return f"{text} {unit}"
