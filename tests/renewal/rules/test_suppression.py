"""No customer is reminded in vain, and every silence has a reason."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TypedDict, Unpack

import pytest

from renewal.rules.suppression import (
    Contact,
    Suppression,
    cap_ends,
    why_moot,
    why_not_reached,
)
from schema.policy import Channel, load_policies
from schema.taipei import TAIPEI

BROWSER = load_policies()["securities-browser"]
END = datetime(2026, 10, 29, 23, 59, 59, tzinfo=TAIPEI)
SECOND = timedelta(seconds=1)


class Case(TypedDict, total=False):
    now: datetime
    channel: Channel
    state: str
    under_way: bool
    paid: bool
    opted_out: bool
    contact: Contact
    sms_sent_today: int


GOOD = Case(
    now=END,
    channel=Channel.SMS,
    state="active",
    under_way=False,
    paid=False,
    opted_out=False,
    contact=Contact.GOOD,
    sms_sent_today=0,
)
#: In the order in which they are told.
REASONS = [
    (Case(state="superseded"), Suppression.RENEWED),
    (Case(state="revoked"), Suppression.REVOKED),
    (Case(under_way=True), Suppression.UNDER_WAY),
    (Case(paid=True), Suppression.PAID),
    (Case(now=END + timedelta(days=31)), Suppression.WINDOW_OVER),
    (Case(opted_out=True), Suppression.OPTED_OUT),
    (Case(contact=Contact.BAD), Suppression.BAD_CONTACT),
    (Case(sms_sent_today=1), Suppression.SMS_CAP),
]


def silence(**case: Unpack[Case]) -> Suppression | None:
    asked = GOOD.copy()
    asked.update(case)
    moot = why_moot(
        asked["now"],
        END,
        BROWSER,
        state=asked["state"],
        under_way=asked["under_way"],
        paid=asked["paid"],
    )
    return moot or why_not_reached(
        channel=asked["channel"],
        opted_out=asked["opted_out"],
        contact=asked["contact"],
        sms_sent_today=asked["sms_sent_today"],
    )


@pytest.mark.shows("D06")
def test_a_customer_whom_nothing_speaks_against_is_reminded() -> None:
    assert silence() is None
    assert silence(state="expired") is None


@pytest.mark.parametrize(
    ("case", "why"),
    [
        *REASONS,
        (Case(state="superseded"), Suppression.RENEWED),
        (Case(state="suspended"), Suppression.SUSPENDED),
        (Case(contact=Contact.NONE), Suppression.NO_CONTACT),
    ],
)
def test_each_reason_alone_suffices(case: Case, why: Suppression) -> None:
    assert silence(**case) is why


def test_what_makes_a_reminder_pointless_comes_before_what_makes_it_undeliverable() -> None:
    for first in range(len(REASONS)):
        case = Case()
        for reason, _ in reversed(REASONS[first:]):  # a certificate has one state
            case.update(reason)

        assert silence(**case) is REASONS[first][1]


def test_the_last_second_of_the_window_is_reminded_in_and_the_next_is_not() -> None:
    closes = END + timedelta(days=30)

    assert silence(now=closes) is None
    assert silence(now=closes + SECOND) is Suppression.WINDOW_OVER


def test_the_cap_counts_sms_only_and_only_puts_off() -> None:
    assert silence(channel=Channel.MAIL, sms_sent_today=3) is None
    assert [why for why in Suppression if why.defers] == [Suppression.SMS_CAP]
    assert cap_ends(END) == END + SECOND
    assert cap_ends(END + SECOND) == END + SECOND + timedelta(days=1)


def test_a_missing_or_a_bad_address_leaves_the_other_channel() -> None:
    tried_next = {why for why in Suppression if why.next_channel}

    assert tried_next == {Suppression.NO_CONTACT, Suppression.BAD_CONTACT}


def test_a_reminder_to_collect_asks_only_whether_the_customer_can_be_reached() -> None:
    reached = why_not_reached(
        channel=Channel.SMS, opted_out=False, contact=Contact.GOOD, sms_sent_today=0
    )

    assert reached is None
