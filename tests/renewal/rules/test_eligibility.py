"""A renewal is refused for the gravest reason, and for no other."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TypedDict, Unpack

import pytest

from renewal.rules.eligibility import why_not
from schema.policy import Policy, load_policies
from schema.reasons import RefusalReason
from schema.taipei import TAIPEI

POLICIES = load_policies()
BROWSER = POLICIES["securities-browser"]
CORPORATE = POLICIES["corporate-token"]
CARD = POLICIES["cooperative-card"]
END = datetime(2026, 10, 29, 23, 59, 59, tzinfo=TAIPEI)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


class Case(TypedDict, total=False):
    now: datetime
    state: str
    policy: Policy
    customer_class: str | None
    operator: str | None
    slot_has_open_renewal: bool
    fee_paid: bool


def refusal(**case: Unpack[Case]) -> RefusalReason | None:
    asked = Case(
        now=END - DAY,
        state="active",
        policy=BROWSER,
        customer_class=None,
        operator=None,
        slot_has_open_renewal=False,
        fee_paid=False,
    )
    asked.update(case)
    return why_not(not_after=END, **asked)


def test_an_active_certificate_in_its_window_is_renewed() -> None:
    assert refusal() is None


@pytest.mark.shows("B06")
def test_from_the_first_second_of_the_window_to_its_last() -> None:
    assert refusal(now=END - 30 * DAY - SECOND) is RefusalReason.NOT_YET
    assert refusal(now=END - 30 * DAY) is None
    assert refusal(now=END + 30 * DAY, state="expired") is None
    assert refusal(now=END + 30 * DAY + SECOND, state="expired") is RefusalReason.WINDOW_OVER


@pytest.mark.shows("A02")
@pytest.mark.parametrize("state", ["active", "expired"])
def test_an_expired_corporate_certificate_goes_to_the_branch(state: str) -> None:
    assert refusal(policy=CORPORATE, fee_paid=True, now=END) is None
    assert (
        refusal(policy=CORPORATE, fee_paid=True, now=END + SECOND, state=state)
        is RefusalReason.EXPIRED
    )


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ("revoked", RefusalReason.REVOKED),
        ("superseded", RefusalReason.SUPERSEDED),
        ("suspended", RefusalReason.SUSPENDED),
        ("pending", RefusalReason.NOT_ACTIVE),
    ],
)
def test_only_an_active_certificate_is_renewed(state: str, why: RefusalReason) -> None:
    assert refusal(state=state) is why


@pytest.mark.shows("C02")
@pytest.mark.parametrize(
    ("customer_class", "operator", "allowed"),
    [
        ("2", "only user", True),
        ("2", "administrator", False),
        ("3", "administrator", True),
        ("3", "only user", False),
        ("3", "SUPER001", False),
        ("4", "SUPER001", True),
        ("4", "administrator", False),
        ("4", None, False),
        ("1", "administrator", False),
        (None, "administrator", False),
        (None, None, False),
    ],
)
def test_each_class_of_customer_has_one_operator(
    *, customer_class: str | None, operator: str | None, allowed: bool
) -> None:
    why = refusal(policy=CARD, customer_class=customer_class, operator=operator)

    assert why is (None if allowed else RefusalReason.WRONG_OPERATOR)


def test_where_the_fee_comes_first_it_must_be_paid() -> None:
    assert refusal(policy=CORPORATE) is RefusalReason.FEE_NOT_PAID
    assert refusal(policy=CORPORATE, fee_paid=True) is None
    assert refusal(policy=CARD, customer_class="2", operator="only user") is None


def test_a_slot_with_a_renewal_under_way_takes_no_second_one() -> None:
    assert refusal(slot_has_open_renewal=True) is RefusalReason.UNDER_WAY


def test_the_gravest_reason_is_told_first() -> None:
    case = Case(
        state="revoked",
        policy=CORPORATE,
        slot_has_open_renewal=True,
        now=END - 60 * DAY,
    )
    told = [refusal(**case)]
    for mended in (
        Case(state="active"),
        Case(slot_has_open_renewal=False),
        Case(now=END),
        Case(fee_paid=True),
    ):
        case.update(mended)
        told.append(refusal(**case))

    assert told == [
        RefusalReason.REVOKED,
        RefusalReason.UNDER_WAY,
        RefusalReason.NOT_YET,
        RefusalReason.FEE_NOT_PAID,
        None,
    ]
