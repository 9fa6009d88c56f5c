"""Decides when a bulk run may begin items, and estimates when it ends."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from schema.taipei import TAIPEI

_MOST_DAYS = 3_660


def is_open(now: datetime, begins_at: str, ends_at: str) -> bool:
    """Whether items may be begun at this moment of the day in Taipei; both as HH:MM."""
    local = now.astimezone(TAIPEI).time()
    return time.fromisoformat(begins_at) <= local < time.fromisoformat(ends_at)


def last_begun_at(
    now: datetime, count: int, *, per_minute: int, begins_at: str, ends_at: str
) -> datetime | None:
    """When the last of ``count`` items would be begun; ``None`` if not within ten years."""
    left = timedelta(minutes=count / max(1, per_minute))
    begins, ends = time.fromisoformat(begins_at), time.fromisoformat(ends_at)
    moment = now.astimezone(TAIPEI)
    for _ in range(_MOST_DAYS):
        opens = datetime.combine(moment.date(), begins, TAIPEI)
        closes = datetime.combine(moment.date(), ends, TAIPEI)
        starts = max(moment, opens)
        if starts < closes and starts + left <= closes:
            return starts + left
        left -= max(timedelta(0), closes - starts)
        moment = datetime.combine(moment.date() + timedelta(days=1), time(0), TAIPEI)
    return None
