"""Says why a reminder that is owed is not sent."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from renewal.rules.taipei import day_of, start_of
from renewal.rules.window import Phase, phase_at
from schema.policy import Channel

if TYPE_CHECKING:
    from schema.policy import Policy

SMS_A_DAY = 1  #: per customer; one-time codes are exempt


class Contact(StrEnum):
    """
    What is known of a customer's address on one channel.
    """

    GOOD = "good"
    BAD = "bad"  #: proven undeliverable
    NONE = "none"


class Suppression(StrEnum):
    RENEWED = "renewed"
    REVOKED = "revoked"
    SUSPENDED = "suspended"
    UNDER_WAY = "renewal under way"
    PAID = "paid"
    WINDOW_OVER = "window over"
    OPTED_OUT = "opted out"
    NO_CONTACT = "no contact"
    BAD_CONTACT = "bad contact"
    SMS_CAP = "one SMS a day"

    @property
    def defers(self) -> bool:
        """
        Say whether the message is only put off: it is neither sent nor lost.
        """
        return self is Suppression.SMS_CAP

    @property
    def next_channel(self) -> bool:
        """
        Say whether another channel may still reach the customer.
        """
        return self in {Suppression.NO_CONTACT, Suppression.BAD_CONTACT}


_STATES = {
    "superseded": Suppression.RENEWED,
    "revoked": Suppression.REVOKED,
    "suspended": Suppression.SUSPENDED,
}
_CONTACTS = {Contact.NONE: Suppression.NO_CONTACT, Contact.BAD: Suppression.BAD_CONTACT}


def why_not_reminded(
    *,
    now: datetime,
    not_after: datetime,
    policy: Policy,
    channel: Channel,
    state: str,
    renewed: bool,
    under_way: bool,
    paid: bool,
    opted_out: bool,
    contact: Contact,
    sms_sent_today: int,
) -> Suppression | None:
    """
    Return the first reason against sending now, or ``None``. Ask again just before sending.

    What makes the reminder pointless comes before what makes it undeliverable.
    """
    if renewed:
        return Suppression.RENEWED
    if state in _STATES:
        return _STATES[state]
    if under_way:
        return Suppression.UNDER_WAY
    if paid:
        return Suppression.PAID
    if phase_at(now, not_after, policy.window) is Phase.CLOSED:
        return Suppression.WINDOW_OVER
    return why_not_reached(
        channel=channel, opted_out=opted_out, contact=contact, sms_sent_today=sms_sent_today
    )


def why_not_reached(
    *, channel: Channel, opted_out: bool, contact: Contact, sms_sent_today: int
) -> Suppression | None:
    """
    Return what speaks against any reminder on this channel, also one to collect.
    """
    if opted_out:
        return Suppression.OPTED_OUT
    if contact in _CONTACTS:
        return _CONTACTS[contact]
    if channel is Channel.SMS and sms_sent_today >= SMS_A_DAY:
        return Suppression.SMS_CAP
    return None


def cap_ends(now: datetime) -> datetime:
    """
    Return when the cap of one SMS a day has room again: the next midnight in Taipei.
    """
    return start_of(day_of(now) + timedelta(days=1))
