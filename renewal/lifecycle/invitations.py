"""Invites the customer of a bulk run to go on with the renewal that the run has begun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal.rules import reminder_schedule
from schema.events import CustomerInvited
from schema.reasons import DecisionKind

if TYPE_CHECKING:
    from renewal.db.rows import Certificate, Renewal
    from renewal.db.unit_of_work import UnitOfWork
    from schema.policy import Policy


def invite(work: UnitOfWork, certificate: Certificate, renewal: Renewal, policy: Policy) -> None:
    """
    Have the customer told once. The invitation stands for the reminder that is owed now; later
    thresholds are reminded of as before, until the customer acts.
    """
    work.record_decision(certificate.id, DecisionKind.RENEWAL_INVITED, renewal=renewal.id)
    step = reminder_schedule.reminder_owed(work.at, certificate.not_after, policy, certificate.told)
    if step is not None:
        _stand_for(work, certificate, policy, step)
    work.emit(CustomerInvited(renewal=renewal.id, customer=renewal.customer))


def _stand_for(work: UnitOfWork, certificate: Certificate, policy: Policy, step: int) -> None:
    following = reminder_schedule.next_moment(work.at, certificate.not_after, policy, step)
    work.certificates.change(certificate, told=step, remind_at=following)
    work.record_decision(certificate.id, DecisionKind.REMINDER_BY_INVITATION, threshold=step)
