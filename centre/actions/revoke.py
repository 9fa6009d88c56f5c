"""Revokes a certificate for good, as often in a year as its product allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from producers import certificates as producer
from renewal.errors import NotNowError
from renewal.rules.revocation import may_revoke_online
from renewal.store import revocations
from schema.events import Change
from schema.reasons import Reason, RefusalReason
from schema.states import CertificateState
from schema.taipei import day_of, start_of

if TYPE_CHECKING:
    from renewal.db.engine import Store
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies
    from schema.events import RevocationReason


def revoke(
    work: UnitOfWork, policies: Policies, certificate: int, reason: RevocationReason
) -> None:
    """
    Ask the CA; a renewal under way ends with the certificate.

    Raises:
        NotNowError: another was first.
    """
    why = why_not_revoked(work, policies, certificate)
    if why is not None:
        raise NotNowError(why, f"certificate {certificate}")
    producer.change_requested(work, work.certificates.get(certificate), Change.REVOKE, reason)


def why_not_revoked(work: UnitOfWork, policies: Policies, certificate: int) -> Reason | None:
    row = work.certificates.find(certificate)
    if row is None or row.customer is None:
        return RefusalReason.CODE_UNAVAILABLE.why()
    if row.state not in {CertificateState.ACTIVE, CertificateState.SUSPENDED}:
        return RefusalReason.CERTIFICATE_STATE.why(certificate_state=row.state)
    count = _this_year(work, row.customer)
    if not may_revoke_online(policies.of(row.product), revoked_this_year=count):
        return RefusalReason.REVOCATION_LIMIT.why()
    return None


def revoked_this_year(store: Store, customer: int) -> int:
    """How often the customer has revoked online since New Year in Taipei."""
    with store.snapshot() as look:
        return _this_year(look, customer)


def _this_year(work: UnitOfWork, customer: int) -> int:
    new_year = start_of(day_of(work.at).replace(month=1, day=1))
    return revocations.online(work, customer, new_year)
