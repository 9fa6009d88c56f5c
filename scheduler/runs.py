"""Begins the items of running bulk runs, a slice at a time, as fast as each throttle allows."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from renewal.db.engine import StoreUnavailableError
from renewal.db.identity_map import ConflictError
from renewal.db.retry import retry_on_conflict
from renewal.errors import XuqiError
from renewal.lifecycle import runs as lifecycle
from renewal.lifecycle.circumstances import circumstances
from renewal.lifecycle.requests import request
from renewal.rules.run_hours import is_open
from renewal.store import runs as queries
from schema.reasons import RefusalReason, RunReason
from schema.states import RunState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from renewal.db.engine import Store
    from renewal.db.rows import Run, RunItem
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies

#: Items in one transaction. Small, so that a one-time code never waits long for SQLite's one
#: writer behind a bulk run.
SLICE = 50
#: Seconds between two slices: whoever waits for SQLite's one writer, a code say, comes first.
GIVE_WAY = 0.01
#: A run catches up for at most so long after a pause of the machine.
CATCH_UP = timedelta(minutes=1)
#: Of the canary's items; above it the run pauses by itself.
MOST_FAILED_PERCENT = 5


@dataclass(frozen=True, kw_only=True)
class Advanced:
    """The number of items begun in one run of the job."""

    begun: int = 0


def advance(store: Store, policies: Policies) -> Advanced:
    """
    Begin the items that the throttle of each running run allows now.

    It works from stored state: however late, often or interrupted, each item is begun once, because
    its state and its renewal are one transaction.
    """
    with store.snapshot() as look:
        running = queries.running(look)
        unfinished = queries.cancelled_with_waiting(look)
    for run in unfinished:
        while _cancel_page(store, run):
            pass
    begun = 0
    for run in running:
        while count := _slice(store, policies, run):
            begun += count
            time.sleep(GIVE_WAY)  # SQLite has one writer, and a code may wait for it
    return Advanced(begun=begun)


@retry_on_conflict
def _cancel_page(store: Store, run: int) -> bool:
    """Go on where whoever cancelled it was interrupted."""
    with store.transaction() as work:
        return lifecycle.cancel_waiting(work, run, SLICE)


@retry_on_conflict
def _slice(store: Store, policies: Policies, run: int) -> int:
    """Begin one slice; return its size, 0 when the run cannot go on now."""
    with store.transaction() as work:
        row = work.runs.get(run)
        if row.state != RunState.RUNNING:  # paused or cancelled meanwhile
            return 0
        if not is_open(work.at, row.begins_at, row.ends_at):
            work.runs.change(row, advanced_at=work.at)
            return 0
        row, allowed = _allowed(work, row)
        page = queries.waiting(work, run, min(SLICE, allowed)) if allowed else []
        _begin(work, policies, page)
        if page:
            _spend(work, row, len(page))
        elif row.state == RunState.RUNNING and not queries.waiting(work, run, 1):
            _complete(work, row)
        return len(page)


def _allowed(work: UnitOfWork, run: Run) -> tuple[Run, int]:
    """How many items the throttle and the canary let through now."""
    since = max(run.advanced_at or work.at, work.at - CATCH_UP)
    allowed = int((work.at - since).total_seconds() * run.per_minute / 60)
    if run.canary_passed:
        return run, allowed
    begun, failed = queries.begun_since(work, run.id, run.started_at or work.at)
    if begun < run.canary and queries.waiting(work, run.id, 1):
        return run, min(allowed, run.canary - begun)
    if failed * 100 > begun * MOST_FAILED_PERCENT:
        why = RunReason.TOO_MANY_FAILURES.why(failed=failed, begun=begun)
        return lifecycle.paused(work, run, why), 0
    return work.runs.change(run, canary_passed=True), allowed


def _spend(work: UnitOfWork, run: Run, count: int) -> None:
    """Move the throttle's clock on by what was begun, never past this moment."""
    since = max(run.advanced_at or work.at, work.at - CATCH_UP)
    used = timedelta(minutes=count / run.per_minute)
    work.runs.change(run, advanced_at=min(work.at, since + used))


def _begin(work: UnitOfWork, policies: Policies, page: Sequence[RunItem]) -> None:
    work.certificates.load(item.certificate for item in page)
    rows = [work.certificates.get(item.certificate) for item in page]
    known = circumstances(work, rows)
    for item, row in zip(page, rows, strict=True):
        try:
            answer = request(work, row, policies, branch=item.branch, invited=True, known=known)
        except (StoreUnavailableError, ConflictError):
            raise  # no fault of the item: the slice is begun again
        except XuqiError as error:  # a policy without a fee for today, say: this item alone fails
            why = RunReason.ITEM_BROKE.why(detail=str(error)[:100])
            lifecycle.item_failed(work, item, why)
            continue
        if isinstance(answer, RefusalReason):
            lifecycle.item_refused(work, item, answer.why())
        else:
            lifecycle.item_handed_on(work, item, answer.id)


def _complete(work: UnitOfWork, run: Run) -> None:
    """A run is complete when nothing of it is in hand any more."""
    if not queries.begun(work, run.id):
        lifecycle.completed(work, run)
