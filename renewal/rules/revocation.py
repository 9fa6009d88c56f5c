"""Says whether a customer may revoke online once more."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from schema.policy import Policy


def may_revoke_online(policy: Policy, *, revoked_this_year: int) -> bool:
    """
    Say whether the limit leaves room; if not, the branch or customer service revokes.

    The count is of the customer's own online revocations in the calendar year, in Taipei.
    Revocations by a renewal (superseded) do not count.
    """
    limit = policy.online_revocations_per_year
    return limit is None or revoked_this_year < limit
