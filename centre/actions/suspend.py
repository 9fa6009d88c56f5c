"""Puts a certificate on hold; the branch lifts it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from producers import certificates as producer
from renewal.errors import NotNowError
from schema.events import Change
from schema.reasons import Reason, RefusalReason
from schema.states import CertificateState

if TYPE_CHECKING:
    from renewal.db.unit_of_work import UnitOfWork


def suspend(work: UnitOfWork, certificate: int) -> None:
    """
    Raises:
        NotNowError: another was first.
    """
    why = why_not_suspended(work, certificate)
    if why is not None:
        raise NotNowError(why, f"certificate {certificate}")
    producer.change_requested(work, work.certificates.get(certificate), Change.SUSPEND)


def why_not_suspended(work: UnitOfWork, certificate: int) -> Reason | None:
    row = work.certificates.find(certificate)
    if row is None:
        return RefusalReason.CODE_UNAVAILABLE.why()
    if row.state != CertificateState.ACTIVE:
        return RefusalReason.CERTIFICATE_STATE.why(certificate_state=row.state)
    return None
