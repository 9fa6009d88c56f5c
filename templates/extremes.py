"""Builds every message with the worst values that can come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING, TypedDict

from templates import contexts

if TYPE_CHECKING:
    from collections.abc import Iterator

MOMENTS = (
    datetime(1912, 1, 1, tzinfo=UTC),
    datetime(2026, 11, 23, 15, 59, 59, tzinfo=UTC),
    datetime(2050, 1, 1, tzinfo=UTC),  # RFC 5280, 4.1.2.5: GeneralizedTime from here on
    datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
)
NAMES = (
    "",
    "王小明",
    "長" * 200,
    "😀" * 200,
    "<script>alert('x')</script>",
    "\"><img src=x onerror=alert(1)><a href='http://evil.example/x'>按我</a>",
    "\u202eمحمد\u202c שלום",
    "a\r\nBcc: all@evil.example\r\n\r\nhttps://www.evil.com line.me/R/x",
    "{{ 7*7 }}{% for a in b %}",
    "\ud800 lone",
    "hthttp://tp://evil.com //evil.tw www.www.evil.com.",
    "\ue000\uf8ff\U000f0000堃",  # a bank's own characters, in the private use areas
)
DAYS = (-27, -1, 0, 1, 30, 60, 36_500)
AMOUNTS = (0, 1, 1200, 10**9)
MANY = (40, 250)  #: of an accountant with forty companies; more than a mail lists
SOON = 30  #: days; the window of later ones is not open
NEVER = None


class One(TypedDict):
    customer: str
    product: str
    serial_tail: str


def everything() -> Iterator[contexts.MessageContext]:
    yield from reminders()
    yield from codes()
    for is_mobile, moment in product((True, False), MOMENTS):
        yield contexts.AddressReplacedMessage(is_mobile=is_mobile, at=moment)
    for name, moment in product(NAMES, MOMENTS):
        yield from about_one_certificate(name, moment)


def reminders() -> Iterator[contexts.ReminderMessage]:
    for count, name, moment in product((1, 2, *MANY), NAMES, MOMENTS):
        for days, others in product(DAYS if count not in MANY else (0,), (False, True)):
            items = tuple(item(days + extra, name, moment) for extra in range(count))
            yield contexts.ReminderMessage(customer=name, items=items, others=others)


def item(days: int, name: str, moment: datetime) -> contexts.ReminderItem:
    year = min(moment.year, 9998)
    return contexts.ReminderItem(
        product=name,
        serial_tail="F" * 40,
        not_after=moment,
        days_left=days,
        opens_at=datetime(year, 6, 1, tzinfo=UTC) if days > SOON else NEVER,
        closes_at=datetime(year, 6, 1, tzinfo=UTC) + timedelta(days=30) if days < 0 else NEVER,
        fee_payable=days > SOON,
    )


def codes() -> Iterator[contexts.CodeMessage]:
    for name, code, seconds in product(NAMES, ("0000", "493027", "9999999999"), (60, 36_000)):
        for action in contexts.Action:
            yield contexts.CodeMessage(
                customer=name, code=code, action=action, seconds=seconds, masked_to="c***n@x.tw"
            )


def about_one_certificate(name: str, moment: datetime) -> Iterator[contexts.MessageContext]:
    one = One(customer=name, product=name, serial_tail="0" * 40)
    for end in (NEVER, moment):
        yield contexts.NotCollectedMessage(**one, issued_at=moment, collect_by=end)
    for branch, ended in product(("", "0" * 8), (True, False)):
        yield contexts.InvitedMessage(
            **one, not_after=moment, has_ended=ended, renew_by=moment, amount=900, branch=branch
        )
    for amount in AMOUNTS:
        yield contexts.ReceiptMessage(
            **one, amount=amount, paid_at=moment, valid_from=moment, valid_to=moment
        )
        yield contexts.RefundedMessage(**one, amount=amount, refunded_at=moment)
        for opens in (NEVER, moment):
            yield contexts.FeePaidMessage(
                **one, amount=amount, paid_at=moment, renew_by=moment, opens_at=opens
            )
    for in_browser in (True, False):
        yield contexts.RenewedMessage(
            **one, valid_from=moment, valid_to=moment, in_browser=in_browser
        )
    for reason in contexts.MessageRefusal:
        yield contexts.RefusedMessage(**one, reason=reason, opens_at=moment)
    for kind in (contexts.SuspendedMessage, contexts.ResumedMessage, contexts.RevokedMessage):
        yield kind(**one, at=moment)
    yield contexts.ExpiredMessage(**one, not_after=moment)
    for branch, renew_by in product(("", "0" * 8), (None, moment)):
        yield contexts.JobExpiredMessage(**one, branch=branch, not_after=moment, renew_by=renew_by)
    for usable in (True, False):
        yield contexts.TransfersMessage(**one, usable=usable, due=moment)
