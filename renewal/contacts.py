"""Stops the use of an address that a carrier calls bad or blocked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal.gateways.mail.bounce import Verdict, verdict_of
from renewal.gateways.sms.errors import follows
from schema.policy import Channel

if TYPE_CHECKING:
    from renewal.store.work import Work


def mark_contact(work: Work, customer: int, channel: Channel, code: str) -> None:
    """
    Mark the customer's address if the carrier's error number says that it is bad or blocked.
    """
    row = work.customers.find(customer)
    if row is None:
        return
    if channel is Channel.MAIL:
        if verdict_of(code) is Verdict.ADDRESS_BAD:  # not for a content that is refused
            work.customers.change(row, mail_bad=code)
        return
    what = follows(code)
    if what.bad_contact or what.suppress:
        work.customers.change(row, mobile_bad=code)
