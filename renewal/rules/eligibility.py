"""Decides why a certificate may not be renewed online."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal.rules.window import Phase, phase_at
from schema.policy import FeeHow
from schema.reasons import RefusalReason
from schema.states import CertificateState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from schema.policy import Policy


_REFUSED_STATES = {
    CertificateState.REVOKED: RefusalReason.REVOKED,
    CertificateState.SUPERSEDED: RefusalReason.SUPERSEDED,
    CertificateState.SUSPENDED: RefusalReason.SUSPENDED,
}
#: An expired certificate is judged by its window: some products renew it still.
_RENEWABLE_STATES = frozenset({CertificateState.ACTIVE, CertificateState.EXPIRED})


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
) -> RefusalReason | None:
    """
    Return the first reason against a renewal, the gravest first, or ``None``.

    Ask with the moment of the reservation: the decision stands from then on, even if the
    window closes while the renewal is under way. ``operator`` is the role of who asks.
    """
    return (
        _state_refusal(state)
        or (None if may_operate(policy, customer_class, operator) else RefusalReason.WRONG_OPERATOR)
        or (RefusalReason.UNDER_WAY if slot_has_open_renewal else None)
        or _window_refusal(now, not_after, policy)
        or (RefusalReason.FEE_NOT_PAID if _must_be_paid(policy) and not fee_paid else None)
    )


def why_not_apply(
    *,
    now: datetime,
    policy: Policy,
    is_enrolled: bool,
    customer_class: str | None,
    operator: str | None,
    slot_has_open_renewal: bool,
    in_slot: Iterable[tuple[str, datetime]],
) -> RefusalReason | None:
    """
    Return the first reason against an application online, or ``None``.

    ``in_slot``: state and end of each certificate that the slot has or has had. Whatever is in
    force, or can still be renewed, is not applied for a second time.
    """
    if policy.apply is None:
        return RefusalReason.APPLY_AT_BRANCH
    if not is_enrolled:
        return RefusalReason.NO_ACCOUNT
    if not _has_role(policy.apply.operators, customer_class, operator):
        return RefusalReason.WRONG_OPERATOR
    if slot_has_open_renewal:
        return RefusalReason.UNDER_WAY
    if any(_still_serves(state, ends, now, policy) for state, ends in in_slot):
        return RefusalReason.HAS_CERTIFICATE
    return None


def _still_serves(state: str, not_after: datetime, now: datetime, policy: Policy) -> bool:
    in_force = state in {CertificateState.ACTIVE, CertificateState.SUSPENDED}
    renewable = phase_at(now, not_after, policy.window) is Phase.OPEN
    return in_force or (state == CertificateState.EXPIRED and renewable)


def may_operate(policy: Policy, customer_class: str | None, operator: str | None) -> bool:
    """
    Say whether this role may renew for a customer of this class. No rule: anyone may.

    Where a product has rules, a class that they do not name may not renew online.
    """
    return _has_role(policy.confirm.operators, customer_class, operator)


def _has_role(roles: Mapping[str, str], customer_class: str | None, operator: str | None) -> bool:
    return not roles or (operator is not None and roles.get(customer_class or "") == operator)


def _state_refusal(state: str) -> RefusalReason | None:
    if state in _RENEWABLE_STATES:
        return None
    return _REFUSED_STATES.get(CertificateState(state), RefusalReason.NOT_ACTIVE)


def _window_refusal(now: datetime, not_after: datetime, policy: Policy) -> RefusalReason | None:
    phase = phase_at(now, not_after, policy.window)
    if phase is Phase.BEFORE:
        return RefusalReason.NOT_YET
    if phase is Phase.OPEN:
        return None
    return RefusalReason.WINDOW_OVER if policy.window.after_days else RefusalReason.EXPIRED


def _must_be_paid(policy: Policy) -> bool:
    return policy.fee.how is FeeHow.PREPAID
