"""The new certificate is valid for what was promised, to the end of its last day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renewal.rules.validity import new_validity, years_later
from schema.policy import Policy, load_policies
from schema.taipei import TAIPEI

POLICIES = load_policies()
BROWSER = POLICIES["securities-browser"]
CORPORATE = POLICIES["corporate-token"]
CARD = POLICIES["cooperative-card"]


def taipei(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=TAIPEI)


@pytest.mark.shows("B02")
@pytest.mark.parametrize(
    ("issued", "ends"),
    [
        ("2021-03-05T10:20:30", "2022-03-05T23:59:59"),
        ("2021-03-05T00:00:00", "2022-03-05T23:59:59"),
        ("2021-03-05T23:59:59.999999", "2022-03-05T23:59:59"),
        ("2024-02-29T12:00:00", "2025-02-28T23:59:59"),
        ("2023-02-28T12:00:00", "2024-02-28T23:59:59"),
    ],
)
def test_one_year_from_success_to_the_end_of_the_day(issued: str, ends: str) -> None:
    starts, until = new_validity(BROWSER, taipei(issued), taipei("2021-03-20T23:59:59"))

    assert starts == taipei(issued).replace(microsecond=0)
    assert until == taipei(ends)


@pytest.mark.shows("A13")
def test_the_new_validity_starts_where_the_old_one_ends() -> None:
    old_end = taipei("2026-10-29T23:59:59")

    starts, until = new_validity(CORPORATE, taipei("2026-10-01T09:00:00"), old_end)

    assert starts == old_end
    assert until == taipei("2027-10-29T23:59:59")


@pytest.mark.shows("C11")
def test_the_days_left_of_the_old_validity_are_carried_over() -> None:
    issued = taipei("2023-04-17T11:28:33")

    starts, until = new_validity(CARD, issued, taipei("2023-05-14T23:59:59"))

    assert starts == issued
    assert until == taipei("2025-05-14T23:59:59")
    assert until.astimezone(TAIPEI).date() == date(2025, 4, 17) + timedelta(days=27)


@pytest.mark.parametrize("policy", POLICIES.values())
@pytest.mark.parametrize("old_end", [None, taipei("2026-01-31T23:59:59")])
def test_without_an_old_certificate_that_is_valid_it_starts_now(
    policy: Policy, old_end: datetime | None
) -> None:
    issued = taipei("2026-02-01T00:00:00")

    starts, until = new_validity(policy, issued, old_end)

    assert starts == issued
    assert until == taipei(f"{2026 + policy.validity.years}-02-01T23:59:59")


@given(
    name=st.sampled_from(sorted(POLICIES)),
    issued=st.datetimes(datetime(2021, 1, 1), datetime(2060, 1, 1)),  # noqa: DTZ001 - zone follows
    left=st.integers(-30, 30),
)
def test_a_validity_never_starts_before_the_issue_nor_falls_short_of_its_years(
    name: str, issued: datetime, left: int
) -> None:
    policy = POLICIES[name]
    now = issued.replace(tzinfo=UTC)
    old_end = (now + timedelta(days=left)).astimezone(TAIPEI)
    old_end = old_end.replace(hour=23, minute=59, second=59, microsecond=0)

    starts, until = new_validity(policy, now, old_end)

    years = policy.validity.years
    assert starts >= now.replace(microsecond=0)
    assert until >= starts + timedelta(days=365 * years - 1)
    assert until - starts <= timedelta(days=366 * years + 31)
    assert f"{until.astimezone(TAIPEI):%H:%M:%S}" == "23:59:59"


def test_the_29th_of_february_stays_where_there_is_one() -> None:
    assert years_later(date(2024, 2, 29), 4) == date(2028, 2, 29)
    assert years_later(date(2024, 2, 29), 1) == date(2025, 2, 28)
    assert years_later(date(2096, 2, 29), 4) == date(2100, 2, 28)
