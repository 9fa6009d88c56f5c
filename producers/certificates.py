"""Facts about certificates: due, out of their window, to be reminded of, to be changed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from renewal.rules import ladder
from schema.events import Change, ChangeRequested, ReminderDue, RenewalDue, RenewalWindowLeft

if TYPE_CHECKING:
    from renewal.store.rows import Certificate
    from renewal.store.work import Work
    from schema.policy import Policy


def renewal_due(work: Work, certificate: Certificate) -> None:
    """
    Say that a certificate has entered its window, and mark that it was said.
    """
    work.certificates.change(certificate, announced_at=work.at)
    work.emit(
        RenewalDue(
            certificate=certificate.id,
            customer=certificate.customer,
            product=certificate.product,
            not_after=certificate.not_after,
        )
    )


def window_left(work: Work, certificate: Certificate) -> None:
    """
    Say that a certificate has left its window un-renewed, and mark that it was said.
    """
    work.certificates.change(certificate, left_at=work.at, remind_at=None, state="expired")
    work.decide(certificate.id, "renewal", "window left")
    work.emit(
        RenewalWindowLeft(
            certificate=certificate.id,
            customer=certificate.customer,
            product=certificate.product,
            not_after=certificate.not_after,
        )
    )


def reminder_due(work: Work, certificate: Certificate, policy: Policy) -> None:
    """
    Say that a reminder may be owed, and set when to look again.
    """
    if certificate.remind_at is None:
        return
    if certificate.customer is None:  # nobody to tell: else it would stand first for ever
        work.certificates.change(certificate, remind_at=None)
        return
    work.emit(
        ReminderDue(
            certificate=certificate.id,
            customer=certificate.customer,
            planned=certificate.remind_at,
        )
    )
    following = ladder.next_moment(work.at, certificate.not_after, policy, certificate.told)
    work.certificates.change(certificate, remind_at=following)


def no_policy(work: Work, certificate: Certificate) -> None:
    """
    Look at a certificate again tomorrow: its product has no policy now.
    """
    work.decide(certificate.id, "reminder", "deferred", "there is no policy for the product")
    work.certificates.change(certificate, remind_at=work.at + timedelta(days=1))


def change_requested(work: Work, certificate: Certificate, change: Change) -> None:
    """
    Say that a person wants a certificate suspended, resumed or revoked.
    """
    number = certificate.changes + 1
    work.certificates.change(certificate, changes=number)
    work.decide(certificate.id, "CA", f"{change.value} asked")
    work.emit(ChangeRequested(certificate=certificate.id, change=change, number=number))
