"""What staff do with a planned run: submit, approve, start, pause, cancel, retry; all audited."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from back_office.actions import must_say_why
from back_office.runs.errors import RunRefusedError
from back_office.runs.limits import CHECKER, SHIPPED, ApprovalLimits, is_same_person
from back_office.runs.plan import manifest_of
from back_office.runs.preview import fee_of, fees_of
from renewal.db.retry import retry_on_conflict
from renewal.lifecycle import runs as lifecycle
from renewal.store import audit
from renewal.store import runs as queries
from schema.reasons import RunReason
from schema.states import RunItemState, RunState

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from renewal.db.engine import Store
    from renewal.db.rows import Run, RunItem
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies
    from schema.reasons import Reason

PAGE = 500
APPROVAL_LASTS = timedelta(hours=24)


@dataclass(frozen=True)
class RunActions:
    """
    Each action is one transaction together with its line in the audit trail.

    ``who`` is the person as the installation knows them: a console's session, or the operating
    system's user of a command. Every method raises ``RunRefusedError`` where its state, or who
    asks, does not allow it; nothing is done then.
    """

    store: Store
    policies: Policies
    limits: ApprovalLimits = SHIPPED

    @retry_on_conflict
    def submit(self, run: int, *, who: str, why: str) -> Run:
        """Freeze the list and ask a second person for approval."""
        with self.store.transaction() as work:
            row = _audited(work, run, "submit run", who, why)
            _expect(row, RunState.VALIDATED)
            if not queries.waiting(work, run, 1):
                raise RunRefusedError(RunReason.NOTHING_TO_DO.why())
            return lifecycle.submitted(work, row, by=who, manifest_sha256=manifest_of(work, run))

    @retry_on_conflict
    def approve(self, run: int, *, who: str, note: str, roles: Collection[str] = (CHECKER,)) -> Run:
        """
        Approve what another person made and submitted (I10). Above the limits of the approver's
        ``roles`` the first approval leaves the state as it is, and another person approves after
        that, within the time that an approval lasts.
        """
        with self.store.transaction() as work:
            row = _audited(work, run, "approve run", who, note)
            _expect(row, RunState.AWAITING_APPROVAL)
            if is_own(row, who):
                raise RunRefusedError(RunReason.OWN_RUN.why())
            _expect_manifest(work, row)
            first = first_approver(row, work.at)
            if is_same_person(first, who):
                raise RunRefusedError(RunReason.APPROVED_TWICE.why())
            if first or self.one_suffices(work, row, roles):
                return lifecycle.approved(work, row, by=who, after=first)
            return lifecycle.first_approval(work, row, by=who)

    def one_suffices(self, work: UnitOfWork, run: Run, roles: Collection[str] = (CHECKER,)) -> bool:
        """
        Whether one approver with these roles lets the run through alone.

        What one approver has let through of the same maker in the last day counts with it: a list
        in many parts is no smaller than the list.
        """
        own = fees_of(work, run.id, self.policies)
        since = work.at - APPROVAL_LASTS
        makers = {
            name
            for name in queries.makers_since(work, since)
            if is_same_person(run.made_by, name) or is_same_person(run.submitted_by, name)
        }
        before = queries.let_through_alone(work, makers, since=since)
        items = sum(fees.count for fees in own) + sum(count for _, count in before)
        amount = sum(fees.total for fees in own)
        amount += sum(count * fee_of(work, name, self.policies) for name, count in before)
        return self.limits.suffice(roles, items=items, amount=amount)

    @retry_on_conflict
    def reject(self, run: int, *, who: str, note: str) -> Run:
        """Send it back to its maker, who may mend and submit it again."""
        with self.store.transaction() as work:
            row = _audited(work, run, "reject run", who, note)
            _expect(row, RunState.AWAITING_APPROVAL)
            return lifecycle.sent_back(work, row, RunReason.REJECTED.why(note=note[:100]))

    def start(self, run: int, *, who: str, why: str) -> Run:
        """Begin. An approval that is older than 24 hours sends the run back instead."""
        row, expired = self._start(run, who=who, why=why)
        if expired is not None:
            raise RunRefusedError(expired)
        return row

    @retry_on_conflict
    def _start(self, run: int, *, who: str, why: str) -> tuple[Run, Reason | None]:
        with self.store.transaction() as work:
            row = _audited(work, run, "start run", who, why)
            _expect(row, RunState.APPROVED)
            if row.approved_at is None or work.at - row.approved_at > APPROVAL_LASTS:
                expired = RunReason.APPROVAL_EXPIRED.why()
                return lifecycle.sent_back(work, row, expired), expired
            _expect_manifest(work, row)
            return lifecycle.started(work, row), None

    @retry_on_conflict
    def pause(self, run: int, *, who: str, why: str) -> Run:
        with self.store.transaction() as work:
            row = _audited(work, run, "pause run", who, why)
            _expect(row, RunState.RUNNING)
            return lifecycle.paused(work, row, RunReason.PAUSED_BY_STAFF.why(note=why[:100]))

    @retry_on_conflict
    def resume(self, run: int, *, who: str, why: str) -> Run:
        with self.store.transaction() as work:
            row = _audited(work, run, "resume run", who, why)
            _expect(row, RunState.PAUSED)
            return lifecycle.resumed(work, row)

    def cancel(self, run: int, *, who: str, why: str) -> Run:
        """
        Begin no further item. What is in hand goes on to its own end, so that no money step is
        left half done; what waits ends as cancelled.
        """
        row = self._cancel(run, who=who, why=why)
        while self._cancel_page(run):
            pass
        return row

    @retry_on_conflict
    def _cancel(self, run: int, *, who: str, why: str) -> Run:
        with self.store.transaction() as work:
            row = _audited(work, run, "cancel run", who, why)
            if row.state in {RunState.COMPLETE, RunState.CANCELLED, RunState.FAILED}:
                raise RunRefusedError(_other_state(row))
            return lifecycle.cancelled(work, row, RunReason.CANCELLED_BY_STAFF.why(note=why[:100]))

    @retry_on_conflict
    def _cancel_page(self, run: int) -> bool:
        with self.store.transaction() as work:
            return lifecycle.cancel_waiting(work, run, PAGE)

    @retry_on_conflict
    def throttle(self, run: int, per_minute: int, *, who: str, why: str) -> Run:
        """Set how many items are begun in a minute; it holds from the next slice on."""
        with self.store.transaction() as work:
            row = _audited(work, run, "throttle run", who, f"{per_minute} a minute: {why}")
            if row.state in {RunState.COMPLETE, RunState.CANCELLED, RunState.FAILED}:
                raise RunRefusedError(_other_state(row))
            return work.runs.change(row, per_minute=per_minute)

    def retry(self, run: int, *, who: str, why: str, numbers: Collection[int] = ()) -> int:
        """Let the failed items, all or these, have their turn again; return how many."""
        with self.store.transaction() as work:
            row = _audited(work, run, "retry run", who, why)
            _expect(row, RunState.RUNNING, RunState.PAUSED)
        return self._each_failed(run, numbers, lifecycle.item_retried)

    def skip(self, run: int, *, who: str, why: str, numbers: Collection[int]) -> int:
        """Leave out these items, which wait or have failed; return how many were left out."""
        reason = RunReason.SKIPPED.why(note=why[:100])
        with self.store.transaction() as work:
            row = _audited(work, run, "skip items of run", who, why)
            _expect(row, RunState.VALIDATED, RunState.RUNNING, RunState.PAUSED)
        states = (RunItemState.FAILED.value, RunItemState.WAITING.value)
        return self._each_failed(
            run, numbers, lambda work, item: lifecycle.item_skipped(work, item, reason), states
        )

    def _each_failed(
        self,
        run: int,
        numbers: Collection[int],
        change: Callable[[UnitOfWork, RunItem], object],
        states: Sequence[str] = (RunItemState.FAILED.value,),
    ) -> int:
        done = after = 0
        while True:
            changed, after = self._page_of(run, numbers, change, states, after)
            done += changed
            if changed < PAGE:
                break
        if not done:
            raise RunRefusedError(RunReason.NOTHING_TO_RETRY.why())
        return done

    @retry_on_conflict
    def _page_of(
        self,
        run: int,
        numbers: Collection[int],
        change: Callable[[UnitOfWork, RunItem], object],
        states: Sequence[str],
        after: int,
    ) -> tuple[int, int]:
        with self.store.transaction() as work:
            page = queries.items(
                work, run, after=after, at_most=PAGE, states=states, numbers=numbers
            )
            for item in page:
                change(work, item)
            return len(page), page[-1].number if page else after


def _audited(work: UnitOfWork, run: int, did: str, who: str, why: str) -> Run:
    must_say_why(who, why)
    audit.write(work, who=who, did=did, object_=f"run {run}", why=why)
    return work.runs.get(run)


def is_own(run: Run, who: str) -> bool:
    """Whether somebody made or submitted a run, and so never approves it."""
    return is_same_person(run.made_by, who) or is_same_person(run.submitted_by, who)


def first_approver(run: Run, at: datetime) -> str | None:
    """Who approved it first, where a second approval is due and the first one still counts."""
    if run.state != RunState.AWAITING_APPROVAL or run.approved_at is None:
        return None
    return run.approved_by if at - run.approved_at <= APPROVAL_LASTS else None


def _expect_manifest(work: UnitOfWork, run: Run) -> None:
    if manifest_of(work, run.id) != run.manifest_sha256:
        raise RunRefusedError(RunReason.MANIFEST_CHANGED.why())


def _expect(run: Run, *states: RunState) -> None:
    if run.state not in states:
        raise RunRefusedError(_other_state(run))


def _other_state(run: Run) -> Reason:
    return RunReason.OTHER_STATE.why(run_state=run.state)
