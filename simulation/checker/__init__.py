"""Checks the invariants over the outside systems' activity logs alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulation.checker import certificates, codes, fees, reminders, tokens
from simulation.checker.history import History, Violation, read_history

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from schema.policy import Policy

__all__ = ["RULES", "Violation", "judge"]


def every_line_is_readable(story: History) -> Iterator[Violation]:
    """A line that nobody can read may hide anything; so may a ledger that is not there."""
    for bad in story.unreadable:
        yield Violation(invariant="ledger", what=bad.why, where=(bad.place,))


RULES: tuple[Callable[[History], Iterator[Violation]], ...] = (
    every_line_is_readable,
    *certificates.RULES,
    *fees.RULES,
    *reminders.RULES,
    *codes.RULES,
    *tokens.RULES,
)


def judge(
    outside: Path,
    *,
    policies: Mapping[str, Policy],
    ended: bool,
    unreachable: Iterable[str | int] = (),
) -> list[Violation]:
    """
    Recompute I1 to I7 from ``*.jsonl`` in that folder, as far as they show there.

    ``ended``: the story is over: what began longer ago than a policy lets it wait must have
    ended, well or not. ``unreachable``: customers to whom no reminder is owed, because they
    opted out or no address of theirs works; the ledgers cannot know that.
    """
    story = read_history(outside, policies=policies, ended=ended, unreachable=unreachable)
    return [violation for rule in RULES for violation in rule(story)]
