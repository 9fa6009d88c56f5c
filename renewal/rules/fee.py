"""The fee of a renewal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schema.taipei import day_of

if TYPE_CHECKING:
    from datetime import datetime

    from schema.policy import Policy


class NoFeeLevelError(ValueError):
    """The policy knows no fee for a day so early."""


def amount_at(moment: datetime, policy: Policy) -> int:
    """
    Return the fee in whole New Taiwan dollars; 0 where the product has none.

    Raises:
        NoFeeLevelError: the moment is before the first level.
    """
    if not policy.fee.levels:
        return 0
    day = day_of(moment)
    reached = [level.amount for level in policy.fee.levels if level.since <= day]
    if not reached:
        raise NoFeeLevelError(f"{policy.product}: no fee is known for {day}: add a level from then")
    return reached[-1]
