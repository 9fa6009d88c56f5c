"""Puts on record of which thresholds a reminder tells, and takes back what it never told."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from consumers.sending import withdrawn
from renewal.cycle import schedule_reminder
from renewal.rules.suppression import Suppression
from renewal.rules.window import closes_at
from renewal.store import messages as message_queries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from consumers.owing import Owed
    from consumers.routes import Route
    from renewal.cycle import Policies
    from renewal.store.rows import Message
    from renewal.store.work import Work


def claim(work: Work, owed: Sequence[Owed], message: Message, *, mine: int) -> None:
    """
    This message is about to tell of all these; it was asked for one of them, and has the others
    with it.
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
        work.decide(
            certificate.id,
            "reminder",
            "claimed" if certificate.id == mine else "merged",
            threshold=one.threshold,
            channel=message.channel,
            message=message.id,
        )


def claim_again(work: Work, owed: Sequence[Owed], failed: str, message: Message) -> None:
    """
    This message tells on the same channel what the one that did not arrive was to tell.
    """
    certificates = [one.certificate.id for one in owed]
    message_queries.hand_on(work, failed, message.id, certificates)
    for one in owed:
        work.decide(
            one.certificate.id,
            "reminder",
            "tried again",
            threshold=one.threshold,
            channel=message.channel,
            message=message.id,
        )


def claim_later(work: Work, one: Owed, step: int, message: Message) -> Owed:
    """
    The message tells of a later threshold too, which has passed while it waited.
    """
    certificate = work.certificates.get(one.certificate.id)
    told = message_queries.claim(certificate.id, step, message.channel, message.id)
    message_queries.write_claims(work, [told])
    certificate = work.certificates.change(certificate, told=step)
    work.decide(
        certificate.id,
        "reminder",
        "claimed",
        threshold=step,
        channel=message.channel,
        message=message.id,
    )
    return replace(one, certificate=certificate, threshold=step)


def put_off(work: Work, owed: Sequence[Owed], until: datetime, why: str) -> None:
    """
    Neither sent nor lost: the certificates are looked at again then.
    """
    for one in owed:
        certificate = work.certificates.get(one.certificate.id)
        in_time = until <= closes_at(certificate.not_after, one.policy.window)
        if not in_time:
            work.certificates.change(certificate, told=one.threshold)
        elif certificate.remind_at is None or certificate.remind_at > until:
            work.certificates.change(certificate, remind_at=until)
        work.decide(
            certificate.id,
            "reminder",
            "deferred" if in_time else "suppressed",
            why if in_time else Suppression.WINDOW_OVER.value,
            threshold=one.threshold,
            until=until if in_time else None,
        )


def unreached(work: Work, owed: Sequence[Owed], route: Route, *, at_first: bool) -> None:
    """
    No channel reaches the customer: the branch calls, unless nobody is to.
    """
    what = "suppressed" if route.opted_out else "branch call"
    for one in owed:
        certificate = work.certificates.get(one.certificate.id)
        if at_first:
            work.certificates.change(certificate, told=one.threshold)
        work.decide(certificate.id, "reminder", what, route.why, threshold=one.threshold)


def withdraw(
    work: Work, message: str, certificates: Sequence[int], why: str, policies: Policies
) -> None:
    """
    The message was not sent after all.
    """
    withdrawn(work, message, why)
    decide(work, certificates, "suppressed", why, message)
    take_back(work, message, certificates, policies)


def take_back(work: Work, message: str, certificates: Sequence[int], policies: Policies) -> None:
    """
    What the message was to tell, and never told, is owed again once nothing speaks against it.
    """
    for claimed in message_queries.withdraw_claims(work, message, certificates):
        certificate = work.certificates.get(claimed.certificate)
        if certificate.told != claimed.threshold:
            continue  # a later one was told
        policy = policies.of(certificate.product)
        before = min((s for s in policy.ladder if s > claimed.threshold), default=None)
        certificate = work.certificates.change(certificate, told=before)
        if certificate.state == "active":
            schedule_reminder(work, certificate, policies)


def decide(work: Work, certificates: Sequence[int], what: str, why: str, message: str) -> None:
    channel = work.messages.get(message).channel
    for certificate in certificates:
        work.decide(certificate, "reminder", what, why, channel=channel, message=message)
