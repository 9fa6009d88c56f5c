"""Says which reminders would go out on the next days, to how many, and what they say."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

from consumers.outbound import contact
from consumers.reminders.due import DueReminder, DueReminders
from consumers.reminders.message import reminder_facts
from renewal.rules import mask, reminder_schedule
from renewal.rules.contact_hours import allowed_from
from renewal.rules.suppression import Contact
from renewal.store.certificates import customers_to_remind
from schema.policy import Channel
from schema.taipei import TAIPEI, day_of
from templates.length import segments

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from renewal.db.rows import Customer
    from renewal.db.unit_of_work import UnitOfWork
    from xuqi.bootstrap import App

_PAGE = 500
_MORNING = time(9)
#: Why a reminder would not go out.
OPTED_OUT, NO_ADDRESS = "opted out", "no address"


@dataclass(frozen=True, kw_only=True)
class PreviewedText:
    """One that would be sent, without what tells who gets it."""

    day: date
    channel: str
    customer: int
    to: str  #: the name, masked
    text: str


@dataclass(kw_only=True)
class MessagePreview:
    messages: Counter[tuple[date, str]] = field(default_factory=Counter)  #: by day and channel
    certificates: Counter[tuple[date, str]] = field(default_factory=Counter)
    segments: Counter[tuple[date, str]] = field(default_factory=Counter)
    #: customers by day
    by_day: Counter[date] = field(default_factory=Counter)
    held_back: Counter[str] = field(default_factory=Counter)  #: certificates, by the reason
    texts: list[PreviewedText] = field(default_factory=list)


def preview_messages(app: App, *, days: int, samples: int) -> MessagePreview:
    """
    Follow each customer's certificates over these days, today included. Nothing is written: what
    happens in between (a renewal, a bounce, another import) is not foreseen.
    """
    seen, after = MessagePreview(), 0
    with app.store.snapshot() as look:
        moments = _moments(look.at, days)
        while page := customers_to_remind(look, until=moments[-1], after=after, at_most=_PAGE):
            due = DueReminders(policies=app.policies)
            due.preload(set(page), look)
            for number in page:
                customer = look.customers.get(number)
                _follow(app, look, due, customer, moments, seen, samples)
            after = page[-1]
    return seen


def _moments(now: datetime, days: int) -> list[datetime]:
    """Now, and nine in the morning of each day that follows."""
    today = day_of(now)
    later = (datetime.combine(today + timedelta(days=n), _MORNING, TAIPEI) for n in range(1, days))
    return [now, *(moment.astimezone(now.tzinfo) for moment in later)]


def _follow(  # noqa: PLR0917 - one customer's walk
    app: App,
    look: UnitOfWork,
    due: DueReminders,
    customer: Customer,
    moments: Sequence[datetime],
    seen: MessagePreview,
    samples: int,
) -> None:
    reminded: dict[int, int] = {}
    for moment in moments:
        owed = list(_owed(due, customer.id, reminded, moment))
        reminded |= {one.certificate.id: one.threshold for one in owed}
        kept = [one for one in owed if due.why_not(one, moment) is None]
        if kept:
            _count(app, look, customer, kept, moment, seen, samples)


def _owed(
    due: DueReminders, customer: int, reminded: dict[int, int], moment: datetime
) -> Iterator[DueReminder]:
    for one in due.preloaded.certificates.get(customer, ()):
        policy = due.policies.by_product.get(one.product)
        if policy is None or one.state != "active":
            continue
        before = reminded.get(one.id, one.told)
        step = reminder_schedule.reminder_owed(moment, one.not_after, policy, before)
        if step is not None:
            yield DueReminder(certificate=one, policy=policy, threshold=step)


def _count(  # noqa: PLR0917 - as above
    app: App,
    look: UnitOfWork,
    customer: Customer,
    owed: Sequence[DueReminder],
    moment: datetime,
    seen: MessagePreview,
    samples: int,
) -> None:
    channel = _channel(customer, owed, moment)
    if not isinstance(channel, Channel):
        seen.held_back[channel] += len(owed)
        return
    step = min(one.threshold for one in owed)
    day = day_of(allowed_from(moment, channel, app.calendar, step=step))
    day = app.first_days.day_for(day, seen.by_day)
    seen.by_day[day] += 1
    facts = reminder_facts(customer, owed, look, moment, others=False)
    key = (day, channel.value)
    seen.messages[key] += 1
    seen.certificates[key] += len(owed)
    text = app.renderer.sms(facts, customer.locale)
    if channel is Channel.SMS:
        seen.segments[key] += segments(text)
    if len(seen.texts) < samples:
        letter = channel is Channel.MAIL
        shown = app.renderer.mail(facts, customer.locale).subject if letter else text
        to = mask.name(facts.customer)
        seen.texts.append(
            PreviewedText(day=day, channel=key[1], customer=customer.id, to=to, text=shown)
        )


def _channel(customer: Customer, owed: Sequence[DueReminder], moment: datetime) -> Channel | str:
    """The first of the product's channels that reaches the customer, or why none does."""
    if customer.opted_out:
        return OPTED_OUT
    good = (
        one for one in owed[0].policy.channels if contact(customer, one, moment) is Contact.GOOD
    )
    return next(good, NO_ADDRESS)
