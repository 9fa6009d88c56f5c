"""Says why a certificate may not be renewed online."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from renewal.rules.window import Phase, phase_at
from schema.policy import FeeHow

if TYPE_CHECKING:
    from datetime import datetime

    from schema.policy import Policy


class Refusal(StrEnum):
    """
    Reasons that a customer is told; each has one remedy of its own.
    """

    REVOKED = "revoked"
    SUPERSEDED = "superseded"
    SUSPENDED = "suspended"
    NOT_ACTIVE = "not active"
    WRONG_OPERATOR = "wrong operator"
    UNDER_WAY = "renewal under way"
    NOT_YET = "not in window yet"
    EXPIRED = "expired, go to the branch"
    WINDOW_OVER = "window over"
    FEE_NOT_PAID = "fee not paid"


_REFUSED_STATES = {
    "revoked": Refusal.REVOKED,
    "superseded": Refusal.SUPERSEDED,
    "suspended": Refusal.SUSPENDED,
}
#: An expired certificate is judged by its window: some products renew it still.
_RENEWABLE_STATES = frozenset({"active", "expired"})


def why_not(
    *,
    now: datetime,
    not_after: datetime,
    state: str,
    policy: Policy,
    customer_class: str | None,
    operator: str | None,
    slot_has_open_renewal: bool,
    fee_paid: bool,
) -> Refusal | None:
    """
    Return the first reason against a renewal, the gravest first, or ``None``.

    Ask with the moment of the reservation: the decision stands from then on, even if the
    window closes while the renewal is under way. ``operator`` is the role of who asks.
    """
    return (
        _state_refusal(state)
        or (None if may_operate(policy, customer_class, operator) else Refusal.WRONG_OPERATOR)
        or (Refusal.UNDER_WAY if slot_has_open_renewal else None)
        or _window_refusal(now, not_after, policy)
        or (Refusal.FEE_NOT_PAID if _must_be_paid(policy) and not fee_paid else None)
    )


def may_operate(policy: Policy, customer_class: str | None, operator: str | None) -> bool:
    """
    Say whether this role may renew for a customer of this class. No rule: anyone may.

    Where a product has rules, a class that they do not name may not renew online.
    """
    roles = policy.confirm.operators
    return not roles or (operator is not None and roles.get(customer_class or "") == operator)


def _state_refusal(state: str) -> Refusal | None:
    if state in _RENEWABLE_STATES:
        return None
    return _REFUSED_STATES.get(state, Refusal.NOT_ACTIVE)


def _window_refusal(now: datetime, not_after: datetime, policy: Policy) -> Refusal | None:
    phase = phase_at(now, not_after, policy.window)
    if phase is Phase.BEFORE:
        return Refusal.NOT_YET
    if phase is Phase.OPEN:
        return None
    return Refusal.WINDOW_OVER if policy.window.after_days else Refusal.EXPIRED


def _must_be_paid(policy: Policy) -> bool:
    return policy.fee.how is FeeHow.PREPAID
