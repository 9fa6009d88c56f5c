"""Ends a renewal that waits for its customer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal.db.retry import retry_on_conflict
from renewal.errors import NotNowError
from renewal.lifecycle import renewals
from schema.reasons import EndReason, RefusalReason

if TYPE_CHECKING:
    from renewal.db.engine import Store
    from renewal.rules.policies import Policies


@retry_on_conflict
def decline(store: Store, policies: Policies, renewal: str) -> None:
    """
    Raises:
        NotNowError: it is past that.
    """
    with store.transaction() as work:
        row = work.renewals.get(renewal)
        if row.state not in renewals.WAITS_FOR_CUSTOMER:
            reason = RefusalReason.WRONG_STATE.why(renewal_state=row.state)
            raise NotNowError(reason, renewal)
        renewals.abandon(work, row, EndReason.DECLINED_BY_CUSTOMER, policies)
