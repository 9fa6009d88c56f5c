"""Stops the use of an address that a carrier calls bad or blocked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal.gateways.mail.bounce import Verdict, verdict_of
from renewal.gateways.sms.errors import follows
from schema.policy import Channel

if TYPE_CHECKING:
    from renewal.store.rows import Message
    from renewal.store.work import Work


def mark_contact(work: Work, message: Message, code: str) -> None:
    """
    Mark the address to which the message went if the carrier's error number says that it is bad or
    blocked; not another one that the customer has meanwhile.
    """
    row = work.customers.find(message.customer)
    if row is None:
        return
    is_mail = message.channel == Channel.MAIL
    if message.address_hash not in {None, row.mail_hash if is_mail else row.mobile_hash}:
        return
    if is_mail:
        if verdict_of(code) is Verdict.ADDRESS_BAD:  # not for a content that is refused
            work.customers.change(row, mail_bad=code)
        return
    what = follows(code)
    if what.bad_contact or what.suppress:
        work.customers.change(row, mobile_bad=code)
