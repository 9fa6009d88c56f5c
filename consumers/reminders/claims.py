"""Claims (certificate, threshold, channel) for a message, and releases unsent claims."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from consumers.outbound import record_suppressed
from renewal.lifecycle.certificates import schedule_reminder
from renewal.rules.window import closes_at
from renewal.store import messages as message_queries
from schema.reasons import DecisionKind, DeferralReason, SuppressionReason
from schema.states import CertificateState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from consumers.reminders.channels import Route
    from consumers.reminders.due import DueReminder
    from renewal.db.rows import Message
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies
    from schema.reasons import Reason, ReasonCode


def claim(work: UnitOfWork, owed: Sequence[DueReminder], message: Message, *, mine: int) -> None:
    """
    Claim all thresholds of this message: the one it was requested for, and the others that go with
    it.
    """
    message_queries.write_claims(
        work,
        [
            message_queries.claim(one.certificate.id, one.threshold, message.channel, message.id)
            for one in owed
        ],
    )
    for one in owed:
        certificate = work.certificates.get(one.certificate.id)
        if certificate.told != one.threshold:
            work.certificates.change(certificate, told=one.threshold)
        own = certificate.id == mine
        work.record_decision(
            certificate.id,
            DecisionKind.REMINDER_CLAIMED if own else DecisionKind.REMINDER_MERGED,
            threshold=one.threshold,
            channel=message.channel,
            message=message.id,
        )


def reclaim(work: UnitOfWork, owed: Sequence[DueReminder], failed: str, message: Message) -> None:
    """This message takes over the claims of the undelivered one on the same channel."""
    certificates = [one.certificate.id for one in owed]
    message_queries.transfer_claims(work, failed, message.id, certificates)
    for one in owed:
        work.record_decision(
            one.certificate.id,
            DecisionKind.REMINDER_TRIED_AGAIN,
            threshold=one.threshold,
            channel=message.channel,
            message=message.id,
        )


def claim_later(work: UnitOfWork, one: DueReminder, step: int, message: Message) -> DueReminder:
    """Also claim a later threshold that was passed while the message waited."""
    certificate = work.certificates.get(one.certificate.id)
    written = message_queries.claim(certificate.id, step, message.channel, message.id)
    message_queries.write_claims(work, [written])
    certificate = work.certificates.change(certificate, told=step)
    work.record_decision(
        certificate.id,
        DecisionKind.REMINDER_CLAIMED,
        threshold=step,
        channel=message.channel,
        message=message.id,
    )
    return replace(one, certificate=certificate, threshold=step)


def defer(
    work: UnitOfWork, owed: Sequence[DueReminder], until: datetime, why: ReasonCode | None
) -> None:
    """Neither sent nor lost: the certificates are checked again then."""
    for one in owed:
        certificate = work.certificates.get(one.certificate.id)
        in_time = until <= closes_at(certificate.not_after, one.policy.window)
        if not in_time:
            work.certificates.change(certificate, told=one.threshold)
        elif certificate.remind_at is None or certificate.remind_at > until:
            work.certificates.change(certificate, remind_at=until)
        work.record_decision(
            certificate.id,
            DecisionKind.REMINDER_DEFERRED if in_time else _too_late(why),
            why if in_time else SuppressionReason.WINDOW_OVER,
            threshold=one.threshold,
            until=until if in_time else None,
        )


def _too_late(why: ReasonCode | None) -> DecisionKind:
    """Who was not told because others with the same number were, is called."""
    call, suppressed = DecisionKind.REMINDER_BRANCH_CALL, DecisionKind.REMINDER_SUPPRESSED
    return call if why is DeferralReason.SMS_CAP else suppressed


def unreached(
    work: UnitOfWork, owed: Sequence[DueReminder], route: Route, *, at_first: bool
) -> None:
    """No channel reaches the customer: the branch calls, unless the customer opted out."""
    opted_out, call = DecisionKind.REMINDER_SUPPRESSED, DecisionKind.REMINDER_BRANCH_CALL
    kind = opted_out if route.opted_out else call
    for one in owed:
        certificate = work.certificates.get(one.certificate.id)
        if at_first:
            work.certificates.change(certificate, told=one.threshold)
        work.record_decision(certificate.id, kind, route.why, threshold=one.threshold)


def withdraw(
    work: UnitOfWork,
    message: str,
    certificates: Sequence[int],
    why: SuppressionReason,
    policies: Policies,
) -> None:
    """Release the claims of a message that was not sent after all."""
    record_suppressed(work, message, why.value)
    decide(work, certificates, DecisionKind.REMINDER_SUPPRESSED, why, message)
    release(work, message, certificates, policies)


def release(
    work: UnitOfWork, message: str, certificates: Sequence[int], policies: Policies
) -> None:
    """Thresholds that were claimed and never sent are owed again once nothing prevents them."""
    for claimed in message_queries.withdraw_claims(work, message, certificates):
        certificate = work.certificates.get(claimed.certificate)
        if certificate.told != claimed.threshold:
            continue  # a later one was told
        policy = policies.of(certificate.product)
        before = min((s for s in policy.ladder if s > claimed.threshold), default=None)
        certificate = work.certificates.change(certificate, told=before)
        if certificate.state == CertificateState.ACTIVE:
            schedule_reminder(work, certificate, policies)


def decide(
    work: UnitOfWork,
    certificates: Sequence[int],
    kind: DecisionKind,
    why: Reason | ReasonCode | None,
    message: str,
) -> None:
    channel = work.messages.get(message).channel
    for certificate in certificates:
        work.record_decision(certificate, kind, why, channel=channel, message=message)
