"""Applies for a customer's first certificate of a product, or for one after an end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal.db.retry import retry_on_conflict
from renewal.lifecycle import applications

if TYPE_CHECKING:
    from renewal.db.engine import Store
    from renewal.db.rows import Renewal
    from renewal.rules.policies import Policies
    from schema.reasons import RefusalReason


@retry_on_conflict
def apply(
    store: Store,
    policies: Policies,
    customer: int,
    product: str,
    *,
    asked_by: tuple[str, str] | None = None,
) -> Renewal | RefusalReason:
    """``asked_by``: class and role of who is logged in; without them those on file count."""
    with store.transaction() as work:
        return applications.apply(work, customer, product, policies, asked_by=asked_by)
