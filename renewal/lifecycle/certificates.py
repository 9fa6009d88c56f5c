"""Transitions of certificates, and the moment of their next reminder check."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal.rules import reminder_schedule
from schema.events import RenewalWindowLeft
from schema.reasons import DecisionKind, ImportReason
from schema.states import CERTIFICATE, CertificateState

if TYPE_CHECKING:
    from datetime import datetime

    from renewal.db.rows import Certificate
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies
    from schema.policy import Policy


def schedule_reminder(
    work: UnitOfWork, certificate: Certificate, policies: Policies
) -> Certificate:
    """Set when the certificate must next be looked at for a reminder."""
    policy = policies.by_product.get(certificate.product)
    moment = None
    if policy is not None and certificate.customer is not None:
        moment = reminder_schedule.next_look(
            work.at, certificate.not_after, policy, certificate.told
        )
    if moment == certificate.remind_at:
        return certificate
    return work.certificates.change(certificate, remind_at=moment)


def told_elsewhere(
    work: UnitOfWork, certificate: Certificate, policy: Policy, step: int
) -> Certificate:
    """Take a step of the reminder schedule for one that the system before this one has told."""
    following = reminder_schedule.next_moment(work.at, certificate.not_after, policy, step)
    work.record_decision(certificate.id, DecisionKind.REMINDER_BY_OLD_SYSTEM, threshold=step)
    return work.certificates.change(certificate, told=step, remind_at=following)


def add(work: UnitOfWork, certificate: Certificate) -> Certificate:
    """
    Put a certificate on record, in the state in which it came.

    Raises:
        ValueError: it can be in no such state.
    """
    CertificateState(certificate.state)
    return work.certificates.put(certificate)


def activate(work: UnitOfWork, certificate: Certificate, policies: Policies) -> Certificate:
    """The new certificate is proven and in force."""
    changed = _change(work, certificate, CertificateState.ACTIVE)
    return schedule_reminder(work, changed, policies)


def supersede(work: UnitOfWork, certificate: Certificate) -> Certificate:
    """A newer certificate has taken its slot."""
    return _change(work, certificate, CertificateState.SUPERSEDED, remind_at=None)


def suspend(work: UnitOfWork, certificate: Certificate) -> Certificate:
    return _change(work, certificate, CertificateState.SUSPENDED, remind_at=None)


def resume(work: UnitOfWork, certificate: Certificate, policies: Policies) -> Certificate:
    changed = _change(work, certificate, CertificateState.ACTIVE)
    return schedule_reminder(work, changed, policies)


def revoke(work: UnitOfWork, certificate: Certificate) -> Certificate:
    return _change(work, certificate, CertificateState.REVOKED, remind_at=None)


def leave_window(work: UnitOfWork, certificate: Certificate) -> None:
    """Its renewal window has closed without a renewal."""
    _change(work, certificate, CertificateState.EXPIRED, left_at=work.at, remind_at=None)
    work.record_decision(certificate.id, DecisionKind.RENEWAL_WINDOW_LEFT)
    work.emit(
        RenewalWindowLeft(
            certificate=certificate.id,
            customer=certificate.customer,
            product=certificate.product,
            not_after=certificate.not_after,
        )
    )


def import_state(
    work: UnitOfWork, certificate: Certificate, state: str, *, remind_at: datetime | None
) -> Certificate:
    """An import has found it replaced, or past its window; or has found nothing new of it."""
    if certificate.state == state:
        return work.certificates.change(certificate, remind_at=remind_at)
    kinds = {
        CertificateState.SUPERSEDED: DecisionKind.IMPORT_SUPERSEDED,
        CertificateState.EXPIRED: DecisionKind.IMPORT_EXPIRED,
    }
    changed = _change(work, certificate, CertificateState(state), remind_at=remind_at)
    kind = kinds[CertificateState(state)]
    work.record_decision(certificate.id, kind, ImportReason.NEWER_CERTIFICATE)
    return changed


def _change(
    work: UnitOfWork, certificate: Certificate, state: CertificateState, **changes: datetime | None
) -> Certificate:
    CERTIFICATE.check(certificate.state, state)
    return work.certificates.change(certificate, state=state.value, **changes)
