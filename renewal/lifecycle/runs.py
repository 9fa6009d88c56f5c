"""Transitions of bulk runs and their items."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal.store import runs as queries
from schema.reasons import RunReason
from schema.states import RUN, RUN_ITEM, RunItemState, RunState

if TYPE_CHECKING:
    from renewal.db.rows import Run, RunItem
    from renewal.db.unit_of_work import UnitOfWork
    from schema.reasons import Reason


def _move(
    work: UnitOfWork, run: Run, target: RunState, why: Reason | None, **changes: object
) -> Run:
    RUN.check(run.state, target)
    return work.runs.change(
        run,
        state=target.value,
        why=why.code.value if why else None,
        why_parameters=why.as_json() if why else None,
        **changes,
    )


def draft(work: UnitOfWork, run: Run) -> Run:
    """A file or a filter was given."""
    if run.state != RunState.DRAFT:
        raise ValueError(f"a run begins as {RunState.DRAFT.value!r}")
    return work.runs.put(run)


def validated(work: UnitOfWork, run: Run, refused_rows: int) -> Run:
    """Every row of its file or filter was looked at."""
    return _move(work, run, RunState.VALIDATED, None, refused_rows=refused_rows)


def submitted(work: UnitOfWork, run: Run, *, by: str, manifest_sha256: bytes) -> Run:
    """The list is frozen; a second person is to decide."""
    return _move(
        work,
        run,
        RunState.AWAITING_APPROVAL,
        None,
        submitted_by=by,
        submitted_at=work.at,
        manifest_sha256=manifest_sha256,
        approved_by=None,
        seconded_by=None,
        approved_at=None,
    )


def first_approval(work: UnitOfWork, run: Run, *, by: str) -> Run:
    """One of two approvers has said yes: the state stays. One that has lapsed is replaced."""
    return work.runs.change(run, approved_by=by, approved_at=work.at)


def approved(work: UnitOfWork, run: Run, *, by: str, after: str | None = None) -> Run:
    """``after``: who approved before, where it took two."""
    names = {"approved_by": after, "seconded_by": by} if after else {"approved_by": by}
    return _move(work, run, RunState.APPROVED, None, approved_at=work.at, **names)


def sent_back(work: UnitOfWork, run: Run, why: Reason) -> Run:
    """Rejected, or approved too long ago: it may be submitted again."""
    return _move(
        work, run, RunState.VALIDATED, why, approved_by=None, seconded_by=None, approved_at=None
    )


def started(work: UnitOfWork, run: Run) -> Run:
    return _move(work, run, RunState.RUNNING, None, started_at=work.at, advanced_at=work.at)


def paused(work: UnitOfWork, run: Run, why: Reason) -> Run:
    return _move(work, run, RunState.PAUSED, why)


def resumed(work: UnitOfWork, run: Run) -> Run:
    """A person has seen why it paused: the canary is not judged a second time."""
    return _move(work, run, RunState.RUNNING, None, advanced_at=work.at, canary_passed=True)


def completed(work: UnitOfWork, run: Run) -> Run:
    return _move(work, run, RunState.COMPLETE, None, ended_at=work.at)


def cancelled(work: UnitOfWork, run: Run, why: Reason) -> Run:
    """No further item is begun; what is in hand goes on to its own end."""
    return _move(work, run, RunState.CANCELLED, why, ended_at=work.at)


# --- items ----------------------------------------------------------------------------------------


def _move_item(
    work: UnitOfWork, item: RunItem, target: RunItemState, why: Reason | None, **changes: object
) -> RunItem:
    RUN_ITEM.check(item.state, target)
    return work.run_items.change(
        item,
        state=target.value,
        why=why.code.value if why else None,
        why_parameters=why.as_json() if why else None,
        moved_at=work.at,
        **changes,
    )


def item_handed_on(work: UnitOfWork, item: RunItem, renewal: str) -> RunItem:
    """Its renewal is open: the customer is invited, or the branch has the job."""
    return _move_item(work, item, RunItemState.HANDED_ON, None, renewal=renewal)


def item_follows(work: UnitOfWork, item: RunItem, renewal: str) -> RunItem:
    """Its renewal goes on under another number, at another branch."""
    return work.run_items.change(item, renewal=renewal)


def item_renewed(work: UnitOfWork, item: RunItem) -> RunItem:
    return _move_item(work, item, RunItemState.RENEWED, None)


def item_refused(work: UnitOfWork, item: RunItem, why: Reason) -> RunItem:
    return _move_item(work, item, RunItemState.REFUSED, why)


def item_declined(work: UnitOfWork, item: RunItem, why: Reason) -> RunItem:
    return _move_item(work, item, RunItemState.DECLINED, why)


def item_failed(work: UnitOfWork, item: RunItem, why: Reason) -> RunItem:
    return _move_item(work, item, RunItemState.FAILED, why)


def item_skipped(work: UnitOfWork, item: RunItem, why: Reason) -> RunItem:
    return _move_item(work, item, RunItemState.SKIPPED, why)


def item_cancelled(work: UnitOfWork, item: RunItem, why: Reason) -> RunItem:
    return _move_item(work, item, RunItemState.CANCELLED, why)


def cancel_waiting(work: UnitOfWork, run: int, at_most: int) -> bool:
    """End a page of items whose turn will not come; say whether there may be more."""
    page = queries.waiting(work, run, at_most)
    for item in page:
        item_cancelled(work, item, RunReason.ITEM_CANCELLED.why())
    return len(page) == at_most


def item_retried(work: UnitOfWork, item: RunItem) -> RunItem:
    """Its turn comes again, with a renewal of its own."""
    return _move_item(work, item, RunItemState.WAITING, None, renewal=None)
