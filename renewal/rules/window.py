"""The renewal window of a certificate."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from schema.taipei import END_OF_TIME, whole_second

if TYPE_CHECKING:
    from schema.policy import Window


class Phase(StrEnum):
    BEFORE = "before"
    OPEN = "open"
    CLOSED = "closed"


def opens_at(not_after: datetime, window: Window) -> datetime:
    """Return the first second in which the certificate may be renewed."""
    return not_after - timedelta(days=window.before_days)


def closes_at(not_after: datetime, window: Window) -> datetime:
    """Return the last second in which the certificate may be renewed; all of it still counts."""
    return min(not_after, END_OF_TIME) + timedelta(days=window.after_days)


def phase_at(now: datetime, not_after: datetime, window: Window) -> Phase:
    second = whole_second(now)
    if second < opens_at(not_after, window):
        return Phase.BEFORE
    if second > closes_at(not_after, window):
        return Phase.CLOSED
    return Phase.OPEN
