"""Hands the new certificate over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from centre.actions.in_browser import in_browser
from renewal.db.retry import retry_on_conflict
from renewal.lifecycle import renewals
from schema.states import RenewalState

if TYPE_CHECKING:
    from renewal.db.engine import Store
    from renewal.rules.policies import Policies


@retry_on_conflict
def collect(store: Store, policies: Policies, renewal: str) -> bytes | None:
    """
    Return the new certificate (DER), or ``None`` while it is not there.

    Raises:
        NotNowError: it is for a token.
    """
    with store.transaction() as work:
        row = in_browser(work, policies, renewal)
        if row.state == RenewalState.ISSUED:
            row = renewals.collect(work, row)
        there = (RenewalState.DELIVERED, *renewals.IN_FORCE)
        if row.new_certificate is None or row.state not in there:
            return None
        new = work.certificates.get(row.new_certificate)
        return work.cipher.open(new.der_sealed, "certificates.der", new.id)
