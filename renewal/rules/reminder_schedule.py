"""Decides which reminder is owed: after any downtime only the most urgent one."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from renewal.rules.window import Phase, closes_at, opens_at, phase_at
from schema.taipei import day_of, start_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schema.policy import Policy


def days_left(now: datetime, not_after: datetime) -> int:
    """
    Return the calendar days from today to the day of expiry, in Taipei; below zero is past it.
    """
    return (day_of(not_after) - day_of(now)).days


def threshold_moment(step: int, not_after: datetime, policy: Policy) -> datetime:
    """
    Return when a step of the ladder passes: its day's first moment, in Taipei.

    A step of the window's first day waits for the window to open: told earlier, the
    customer could not act upon it. A step before the window is a notice and waits for nothing.
    """
    moment = start_of(day_of(not_after) - timedelta(days=step))
    if step <= policy.window.before_days:
        return max(moment, opens_at(not_after, policy.window))
    return moment


def thresholds(not_after: datetime, policy: Policy) -> Iterator[tuple[int, datetime]]:
    """
    Yield the steps that can be told, each with its moment, in the order of time.

    A step that passes only after the window has closed is left out: nothing can be renewed
    any more, so the reminder would be in vain.
    """
    closes = closes_at(not_after, policy.window)
    for step in policy.ladder:
        moment = threshold_moment(step, not_after, policy)
        if moment <= closes:
            yield step, moment


def reminder_owed(
    now: datetime, not_after: datetime, policy: Policy, last_step: int | None
) -> int | None:
    """
    Return the most urgent step that has passed, unless it or a later one was told.

    A range, never ``days_left == step``: a scheduler that was off for a week still sends the
    one reminder that matters now, and only that one. On the day on which the window opens, an
    earlier notice is held back: a better one follows within hours.
    """
    if phase_at(now, not_after, policy.window) is Phase.CLOSED:
        return None
    if _opens_today(now, not_after, policy):
        return None
    passed = [step for step, moment in thresholds(not_after, policy) if moment <= now]
    if not passed or (last_step is not None and last_step <= passed[-1]):
        return None
    return passed[-1]


def _opens_today(now: datetime, not_after: datetime, policy: Policy) -> bool:
    """Whether a step's day has come, and it waits for the window to open."""
    first = policy.window.before_days
    begins = start_of(day_of(not_after) - timedelta(days=first))
    return first in policy.ladder and begins <= now < opens_at(not_after, policy.window)


def step_told_on(day: date, not_after: datetime, policy: Policy) -> int | None:
    """The step of which a customer knows who was reminded on that day, and of no later one."""
    left = (day_of(not_after) - day).days
    return min((step for step in policy.ladder if left <= step), default=None)


def next_moment(
    now: datetime, not_after: datetime, policy: Policy, last_step: int | None
) -> datetime | None:
    """
    Return when the next step passes, later than now; ``None`` when the ladder is done.

    What is owed already is not counted: ask ``reminder_owed`` first, or ``next_look``.
    """
    for step, moment in thresholds(not_after, policy):
        if moment > now and (last_step is None or step < last_step):
            return moment
    return None


def next_look(
    now: datetime, not_after: datetime, policy: Policy, last_step: int | None
) -> datetime | None:
    """Return when the certificate must be looked at: now if a reminder is owed, else as above."""
    if reminder_owed(now, not_after, policy, last_step) is not None:
        return now
    return next_moment(now, not_after, policy, last_step)


def collection_reminder_owed(
    now: datetime, issued_at: datetime, policy: Policy, last_step: int | None
) -> int | None:
    """
    Return the latest step of the ladder for "issued but not collected", unless told.

    Its steps count full days since the issue; they end when the renewal is given up.
    """
    days = (now - issued_at) // timedelta(days=1)
    if days >= policy.abandon_after_days:
        return None
    passed = [step for step in policy.collect_ladder if step <= days]
    if not passed or (last_step is not None and last_step >= passed[-1]):
        return None
    return passed[-1]
