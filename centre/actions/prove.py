"""Puts the new certificate in force: its key has signed the renewal's challenge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from centre.actions.in_browser import in_browser
from renewal.db.retry import retry_on_conflict
from renewal.errors import NotNowError
from renewal.lifecycle import renewals
from schema.states import RenewalState
from schema.stored_reasons import read_reason

if TYPE_CHECKING:
    from renewal.db.engine import Store
    from renewal.rules.policies import Policies


@retry_on_conflict
def prove(store: Store, policies: Policies, renewal: str, signature: bytes) -> None:
    """
    Raises:
        ProofError: nothing has changed.
        NotNowError: nothing has changed, or the renewal has ended because its certificate was
            suspended or revoked meanwhile.
    """
    with store.transaction() as work:
        row = in_browser(work, policies, renewal)
        renewals.activate(work, row, signature, policies)
        row = work.renewals.get(renewal)
    if row.state == RenewalState.REFUSED:
        raise NotNowError(read_reason(row.why or ""), renewal)
