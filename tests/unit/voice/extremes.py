"""Builds every message with the worst facts that can come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING, TypedDict

from templates import facts

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
)
DAYS = (-27, -1, 0, 1, 30, 60, 36_500)
AMOUNTS = (0, 1, 1200, 10**9)
NEVER = None


class One(TypedDict):
    customer: str
    product: str
    serial_tail: str


def everything() -> Iterator[facts.Facts]:
    yield from reminders()
    yield from codes()
    for name, moment in product(NAMES, MOMENTS):
        yield from about_one_certificate(name, moment)


def reminders() -> Iterator[facts.Reminder]:
    for count, name, moment in product((1, 2, 250), NAMES, MOMENTS):
        for days in DAYS if count < 250 else (0,):
            items = tuple(item(days + extra, name, moment) for extra in range(count))
            yield facts.Reminder(customer=name, items=items)


def item(days: int, name: str, moment: datetime) -> facts.ReminderItem:
    year = min(moment.year, 9998)
    return facts.ReminderItem(
        product=name,
        serial_tail="F" * 40,
        not_after=moment,
        days_left=days,
        opens_at=datetime(year, 6, 1, tzinfo=UTC) if days > 30 else NEVER,
        closes_at=datetime(year, 6, 1, tzinfo=UTC) + timedelta(days=30) if days < 0 else NEVER,
        fee_payable=days > 30,
    )


def codes() -> Iterator[facts.Code]:
    for name, code, seconds in product(NAMES, ("0000", "493027", "9999999999"), (60, 36_000)):
        for action in facts.Action:
            yield facts.Code(
                customer=name, code=code, action=action, seconds=seconds, masked_to="c***n@x.tw"
            )


def about_one_certificate(name: str, moment: datetime) -> Iterator[facts.Facts]:
    one = One(customer=name, product=name, serial_tail="0" * 40)
    for end in (NEVER, moment):
        yield facts.NotCollected(**one, issued_at=moment, collect_by=end)
    for amount in AMOUNTS:
        yield facts.Receipt(
            **one, amount=amount, paid_at=moment, valid_from=moment, valid_to=moment
        )
        yield facts.Refunded(**one, amount=amount, refunded_at=moment)
        for opens in (NEVER, moment):
            yield facts.FeePaid(
                **one, amount=amount, paid_at=moment, renew_by=moment, opens_at=opens
            )
    for in_browser in (True, False):
        yield facts.Renewed(**one, valid_from=moment, valid_to=moment, in_browser=in_browser)
    for reason in facts.Refusal:
        yield facts.Refused(**one, reason=reason, opens_at=moment)
    for kind in (facts.Suspended, facts.Resumed, facts.Revoked):
        yield kind(**one, at=moment)
    yield facts.Expired(**one, not_after=moment)
    yield facts.TokenLocked(customer=name, token_tail="0" * 40, at=moment)
    yield from calls(one, moment)


def calls(one: One, moment: datetime) -> Iterator[facts.BranchCall]:
    for why, phone, days in product(facts.Unreachable, ("", "0966****06"), DAYS):
        yield facts.BranchCall(
            **one,
            branch=one["customer"],
            customer_number="J22023****",
            masked_phone=phone,
            not_after=moment,
            days_left=days,
            why=why,
        )
