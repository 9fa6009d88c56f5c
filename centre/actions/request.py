"""Reserves a renewal, or says why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal.db.retry import retry_on_conflict
from renewal.lifecycle import requests

if TYPE_CHECKING:
    from renewal.db.engine import Store
    from renewal.db.rows import Renewal
    from renewal.rules.policies import Policies
    from schema.reasons import RefusalReason


@retry_on_conflict
def request(
    store: Store,
    policies: Policies,
    certificate: int,
    *,
    branch: str | None = None,
    asked_by: tuple[str, str] | None = None,
) -> Renewal | RefusalReason:
    """``asked_by``: class and role of who is logged in; without them those on file count."""
    with store.transaction() as work:
        row = work.certificates.get(certificate)
        return requests.request(work, row, policies, branch=branch, asked_by=asked_by)
