"""Says what reminders will go out by a moment: to whom, by which channel, with which text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from renewal.contacts import of_lane, why_resting
from renewal.rules import reminder_schedule
from renewal.rules.window import closes_at, opens_at
from renewal.store import console as queries
from renewal.store import renewals as renewal_queries
from schema.policy import Channel, FeeHow
from schema.reasons import SuppressionReason
from templates.contexts import ReminderItem, ReminderMessage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from renewal.db.rows import Certificate, Customer
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies
    from schema.policy import Policy
    from templates.rendering import MessageRenderer


@dataclass(frozen=True, kw_only=True)
class PlannedReminder:
    """
    One certificate's. Those of one customer go out as one message; contact hours and the cap of
    one text a day may put it off.
    """

    certificate: int
    customer: int
    product: str
    not_after: datetime
    at: datetime  #: when it will be looked at
    threshold: int  #: days left
    channel: Channel | None  #: ``None``: no message goes out
    why_not: SuppressionReason | None
    text: str


def planned_reminders(
    work: UnitOfWork,
    policies: Policies,
    renderer: MessageRenderer,
    *,
    until: datetime,
    after: int = 0,
    at_most: int = 50,
) -> tuple[Sequence[PlannedReminder], int | None]:
    """A page of them by certificate, and behind which certificate the next page begins."""
    ids = queries.to_remind_until(work, until, after=after, at_most=at_most)
    work.certificates.load(ids)
    rows = [work.certificates.get(one) for one in ids]
    work.customers.load(row.customer for row in rows)
    busy = renewal_queries.taken_up(work, ids)
    paid = renewal_queries.paid_for(work, ids)
    found = []
    for row in rows:
        policy, customer = policies.by_product.get(row.product), work.customers.find(row.customer)
        if policy is None or customer is None or row.remind_at is None:
            continue
        at = max(work.at, row.remind_at)
        step = reminder_schedule.reminder_owed(at, row.not_after, policy, row.told)
        if step is None:
            continue
        why = _why_not(row, customer, busy, paid)
        channel = None if why else _channel(policy, customer, at)
        message = _message(row, policy, at, customer.locale)
        found.append(
            PlannedReminder(
                certificate=row.id,
                customer=customer.id,
                product=row.product,
                not_after=row.not_after,
                at=at,
                threshold=step,
                channel=channel,
                why_not=why or (None if channel else SuppressionReason.NO_ADDRESS),
                text=_rendered(renderer, message, channel, customer.locale),
            )
        )
    return found, ids[-1] if len(ids) == at_most else None


def _why_not(
    row: Certificate, customer: Customer, busy: set[int], paid: set[int]
) -> SuppressionReason | None:
    if row.id in busy:
        return SuppressionReason.UNDER_WAY
    if row.id in paid:
        return SuppressionReason.PAID
    return SuppressionReason.OPTED_OUT if customer.opted_out else None


def _channel(policy: Policy, customer: Customer, at: datetime) -> Channel | None:
    for channel in policy.channels:
        sealed = customer.mobile_sealed if channel is Channel.SMS else customer.mail_sealed
        if sealed is not None and not why_resting(customer, of_lane(channel, codes=False), at):
            return channel
    return None


def _message(row: Certificate, policy: Policy, at: datetime, locale: str) -> ReminderMessage:
    opens = opens_at(row.not_after, policy.window)
    closes = closes_at(row.not_after, policy.window) if policy.window.after_days else None
    item = ReminderItem(
        product=policy.title.en if locale == "en" else policy.title.zh,
        serial_tail=row.serial[-6:],
        not_after=row.not_after,
        days_left=reminder_schedule.days_left(at, row.not_after),
        opens_at=opens if opens > at else None,
        closes_at=closes,
        fee_payable=policy.fee.how is FeeHow.PREPAID,
        ended=row.not_after < at,
    )
    return ReminderMessage(items=(item,))


def _rendered(
    renderer: MessageRenderer, message: ReminderMessage, channel: Channel | None, locale: str
) -> str:
    if channel is None:
        return ""
    is_mail = channel is Channel.MAIL
    return renderer.mail(message, locale).text if is_mail else renderer.sms(message, locale)
