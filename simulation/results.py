"""What came of one run of the demo, in counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, kw_only=True)
class DemoResults:
    """Counts only: no name, no address, no number of a person."""

    seed: int
    customers: int
    certificates: int
    days: int
    products: Mapping[str, Mapping[str, int]]
    messages: Mapping[str, int]
    refusals: Mapping[str, int]
    traits: Mapping[str, int]
    used: Mapping[str, int]
    books: Mapping[str, int]
    check: Mapping[str, int]
    dead_letters: int
    per_day: Mapping[str, Mapping[str, int]]
    judged: Sequence[str] = field(default_factory=list)
    kills: Mapping[str, int] | None = None  #: by process, where there are several
    ended: Sequence[str] = field(default_factory=list)  #: processes that ended by themselves
    seconds: float = 0.0
