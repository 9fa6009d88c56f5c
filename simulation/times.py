"""Hours, days and the times of a day, as the story speaks of them."""

from __future__ import annotations

from datetime import datetime, timedelta

from schema.taipei import TAIPEI

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def daytime(moment: datetime, part: float) -> datetime:
    """The same day, between 09:00 and 20:00 in Taipei."""
    local = moment.astimezone(TAIPEI)
    start = local.replace(hour=9, minute=0, second=0, microsecond=0)
    return (start + part * 11 * HOUR).astimezone(moment.tzinfo)
