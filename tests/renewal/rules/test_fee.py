"""A renewal costs what the policy says for its day in Taipei."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import msgspec
import pytest

from renewal.rules.fee import NoFeeLevelError, amount_at
from schema.policy import Fee, FeeHow, Level, load_policies
from schema.taipei import TAIPEI

POLICIES = load_policies()
RISING = msgspec.structs.replace(
    POLICIES["cooperative-card"],
    fee=Fee(
        how=FeeHow.HOLD,
        levels=(
            Level(since=date(2026, 1, 1), amount=900),
            Level(since=date(2026, 7, 1), amount=950),
        ),
    ),
)
RISE = datetime(2026, 7, 1, tzinfo=TAIPEI)
TICK = timedelta(microseconds=1)


def test_a_new_fee_holds_from_midnight_in_taipei() -> None:
    assert amount_at(RISE - TICK, RISING) == 900
    assert amount_at(RISE, RISING) == 950


def test_a_product_without_a_fee_costs_nothing() -> None:
    assert amount_at(RISE, POLICIES["securities-browser"]) == 0


def test_a_moment_before_the_first_level_is_an_error_that_says_what_is_missing() -> None:
    with pytest.raises(NoFeeLevelError, match="cooperative-card: no fee is known for 2025-12-31"):
        amount_at(datetime(2026, 1, 1, tzinfo=TAIPEI) - TICK, RISING)
