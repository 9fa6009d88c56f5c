"""What staff do to a renewal that waits: move it to another branch, decline it for its customer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from back_office.actions import must_say_why
from renewal.db.retry import retry_on_conflict
from renewal.errors import NotNowError
from renewal.lifecycle import renewals, runs
from renewal.lifecycle.requests import request
from renewal.store import audit
from renewal.store import runs as run_queries
from schema.reasons import EndReason, RefusalReason
from schema.states import RenewalState

if TYPE_CHECKING:
    from back_office.actions import BackOffice
    from renewal.db.rows import Renewal


@dataclass(frozen=True)
class RenewalActions:
    """Each action is one transaction together with its line in the audit trail."""

    office: BackOffice

    @retry_on_conflict
    def move(self, renewal: str, branch: str, *, who: str, why: str) -> Renewal:
        """
        Begin it anew at another branch; the job at the branch before ends. What was paid goes
        with it, and so does its item in a bulk run.

        Raises:
            NotNowError: it is confirmed already, the branch is not known or is the same, or the
                certificate can no longer be renewed: nothing is changed.
        """
        with self.office.store.transaction() as work:
            must_say_why(who, why)
            object_ = f"renewal {renewal}"
            audit.write(work, who=who, did=f"move to {branch}"[:64], object_=object_, why=why)
            row = work.renewals.get(renewal)
            renewals.expect(row, RenewalState.REQUESTED)
            if row.branch is None or branch == row.branch:
                raise NotNowError(RefusalReason.NO_OTHER_BRANCH, renewal)
            certificate = work.certificates.get(row.certificate)
            self.office.check_branch(certificate, branch)
            policies = self.office.policies
            renewals.abandon(work, row, EndReason.MOVED_TO_BRANCH.why(branch=branch), policies)
            work.flush()
            moved = request(work, certificate, policies, branch=branch, blank_token=row.blank_token)
            if isinstance(moved, RefusalReason):
                raise NotNowError(moved, renewal)
            for item in run_queries.of_renewals(work, [renewal]):
                runs.item_follows(work, item, moved.id)
            return moved

    @retry_on_conflict
    def decline(self, renewal: str, *, who: str, why: str) -> None:
        """
        End it because its customer has said that they do not want it.

        Raises:
            NotNowError: the bank or the CA is being asked, or it is over.
        """
        with self.office.store.transaction() as work:
            must_say_why(who, why)
            audit.write(work, who=who, did="decline renewal", object_=f"renewal {renewal}", why=why)
            row = work.renewals.get(renewal)
            renewals.expect(row, *map(RenewalState, renewals.WAITS_FOR_CUSTOMER))
            reason = EndReason.DECLINED_BY_CUSTOMER
            renewals.abandon(work, row, reason, self.office.policies)
