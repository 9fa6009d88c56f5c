"""Decides whether a customer may revoke online, for which reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from schema.events import RevocationReason

if TYPE_CHECKING:
    from schema.policy import Policy

#: What a customer may say; that a privilege was withdrawn is the bank's to say (RFC 5280, 5.3.1).
CustomersReason = Literal[
    RevocationReason.KEY_COMPROMISE,
    RevocationReason.AFFILIATION_CHANGED,
    RevocationReason.SUPERSEDED,
    RevocationReason.CESSATION_OF_OPERATION,
    RevocationReason.UNSPECIFIED,
]
CUSTOMERS_REASONS: tuple[RevocationReason, ...] = get_args(CustomersReason)


def may_revoke_online(policy: Policy, *, revoked_this_year: int) -> bool:
    """
    Say whether the limit leaves room; if not, the branch or customer service revokes.

    The count is of the customer's own online revocations in the calendar year, in Taipei.
    Revocations by a renewal (superseded) do not count.
    """
    limit = policy.online_revocations_per_year
    return limit is None or revoked_this_year < limit
