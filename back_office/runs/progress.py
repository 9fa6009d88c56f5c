"""Says how far a bulk run is, how fast it goes and when all its items will have been begun."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from renewal.rules.run_hours import last_begun_at
from renewal.store import runs as queries
from schema.states import RunItemState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from renewal.db.rows import Run
    from renewal.db.unit_of_work import UnitOfWork

RATE_OVER = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Progress:
    run: Run
    counts: Mapping[RunItemState, int]  #: each item in one state
    a_minute: int  #: items that have left the queue in the last minute
    ends_at: datetime | None  #: when the last item will have been begun, by the throttle

    @property
    def items(self) -> int:
        return sum(self.counts.values())

    @property
    def waiting(self) -> int:
        return self.counts[RunItemState.WAITING]

    @property
    def begun(self) -> int:
        return self.items - self.waiting

    @property
    def percent(self) -> int:
        """Whole percents, rounded down: 100 only when none waits."""
        return 100 * self.begun // self.items if self.items else 100


def progress_of(work: UnitOfWork, run: int) -> Progress:
    row = work.runs.get(run)
    counts = dict.fromkeys(RunItemState, 0)
    for bucket in queries.buckets(work, run):
        counts[RunItemState(bucket.state)] += bucket.items
    recent, _ = queries.begun_since(work, run, work.at - RATE_OVER)
    ends_at = last_begun_at(
        work.at,
        counts[RunItemState.WAITING],
        per_minute=row.per_minute,
        begins_at=row.begins_at,
        ends_at=row.ends_at,
    )
    return Progress(run=row, counts=counts, a_minute=recent, ends_at=ends_at)
