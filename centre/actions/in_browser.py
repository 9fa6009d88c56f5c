"""Finds a renewal whose key lives in a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal.errors import NotNowError
from schema.policy import Storage
from schema.reasons import RefusalReason

if TYPE_CHECKING:
    from renewal.db.rows import Renewal
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies


def in_browser(work: UnitOfWork, policies: Policies, renewal: str) -> Renewal:
    """
    What is on a token is confirmed, written and proven at a station, and nowhere else.

    Raises:
        NotNowError: it is for a token.
    """
    row = work.renewals.get(renewal)
    if policies.of(row.product).storage is not Storage.BROWSER:
        raise NotNowError(RefusalReason.BELONGS_TO_STATION, renewal)
    return row
