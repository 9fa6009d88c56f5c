"""Decides why a reminder that is owed is not sent."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum, StrEnum
from typing import TYPE_CHECKING

from renewal.rules.window import Phase, phase_at
from schema.policy import Channel
from schema.reasons import DeferralReason, SuppressionReason
from schema.taipei import day_of, start_of

if TYPE_CHECKING:
    from schema.policy import Policy

SMS_A_DAY = 1  #: per customer; one-time codes are exempt


class Contact(StrEnum):
    """What is known of a customer's address on one channel."""

    GOOD = "good"
    BAD = "bad"  #: proven undeliverable
    NONE = "none"


class Suppression(Enum):
    """What speaks against a reminder; its value is the reason's code."""

    RENEWED = SuppressionReason.RENEWED
    REVOKED = SuppressionReason.REVOKED
    SUSPENDED = SuppressionReason.SUSPENDED
    UNDER_WAY = SuppressionReason.UNDER_WAY
    PAID = SuppressionReason.PAID
    WINDOW_OVER = SuppressionReason.WINDOW_OVER
    OPTED_OUT = SuppressionReason.OPTED_OUT
    NO_CONTACT = SuppressionReason.NO_CONTACT
    BAD_CONTACT = SuppressionReason.BAD_CONTACT
    SMS_CAP = DeferralReason.SMS_CAP

    @property
    def defers(self) -> bool:
        """Say whether the message is only put off: it is neither sent nor lost."""
        return self is Suppression.SMS_CAP

    @property
    def next_channel(self) -> bool:
        """Say whether another channel may still reach the customer."""
        return self in {Suppression.NO_CONTACT, Suppression.BAD_CONTACT}


_STATES = {
    "superseded": Suppression.RENEWED,
    "revoked": Suppression.REVOKED,
    "suspended": Suppression.SUSPENDED,
}
_CONTACTS = {Contact.NONE: Suppression.NO_CONTACT, Contact.BAD: Suppression.BAD_CONTACT}


def why_moot(
    now: datetime, not_after: datetime, policy: Policy, *, state: str, under_way: bool, paid: bool
) -> Suppression | None:
    """
    Return what makes a reminder pointless on every channel, or ``None``. Ask again just before
    sending; what makes it undeliverable comes after that (``why_not_reached``).
    """
    if state in _STATES:
        return _STATES[state]
    if under_way:
        return Suppression.UNDER_WAY
    if paid:
        return Suppression.PAID
    if phase_at(now, not_after, policy.window) is Phase.CLOSED:
        return Suppression.WINDOW_OVER
    return None


def why_not_reached(
    *, channel: Channel, opted_out: bool, contact: Contact, sms_sent_today: int
) -> Suppression | None:
    """Return what speaks against any reminder on this channel, also one to collect."""
    if opted_out:
        return Suppression.OPTED_OUT
    if contact in _CONTACTS:
        return _CONTACTS[contact]
    if channel is Channel.SMS and sms_sent_today >= SMS_A_DAY:
        return Suppression.SMS_CAP
    return None


def cap_ends(now: datetime) -> datetime:
    """Return when the cap of one SMS a day has room again: the next midnight in Taipei."""
    return start_of(day_of(now) + timedelta(days=1))
