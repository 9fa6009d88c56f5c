"""Counts customers' own revocations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from schema.policy import Purpose
from schema.tables.renewals import challenges

if TYPE_CHECKING:
    from datetime import datetime

    from renewal.db.unit_of_work import UnitOfWork


def online(work: UnitOfWork, customer: int, since: datetime) -> int:
    """
    How often the customer has revoked online since then: each time took one code, used up.

    What this very transaction is doing does not count.
    """
    query = sa.select(sa.func.count()).where(
        challenges.c.customer == customer,
        challenges.c.action == Purpose.REVOKE.value,
        challenges.c.used_at >= since,
        challenges.c.used_at < work.at,
    )
    return work.connection.scalar(query) or 0
