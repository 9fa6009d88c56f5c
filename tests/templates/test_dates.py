"""Shows how moments are written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from templates.dates import roc, roc_long, taipei_date, taipei_time

if TYPE_CHECKING:
    from collections.abc import Callable

LAST_SECOND = datetime(2026, 12, 23, 15, 59, 59, tzinfo=UTC)
ROC_1 = datetime(1911, 12, 31, 16, tzinfo=UTC)  # the first second of 1912 in Taipei


def test_a_day_ends_at_midnight_in_taipei() -> None:
    assert taipei_date(LAST_SECOND) == "2026/12/23"
    assert taipei_date(LAST_SECOND + timedelta(seconds=1)) == "2026/12/24"


def test_validity_is_told_to_the_second() -> None:
    assert taipei_time(LAST_SECOND) == "2026/12/23 23:59:59"


def test_the_zone_in_which_a_moment_comes_does_not_matter() -> None:
    elsewhere = LAST_SECOND.astimezone(timezone(timedelta(hours=-11)))

    assert taipei_time(elsewhere) == "2026/12/23 23:59:59"


@pytest.mark.shows("C05")
@pytest.mark.shows("C09")
def test_the_calendar_of_the_republic_counts_from_1912() -> None:
    queried = datetime(2023, 4, 17, 3, 28, 33, tzinfo=UTC)

    assert roc(queried) == "112/04/17"
    assert roc_long(queried) == "民國112年4月17日"
    assert roc(ROC_1) == "1/01/01"


@pytest.mark.parametrize("write", [roc, roc_long])
def test_a_day_before_1912_is_refused(write: Callable[[datetime], str]) -> None:
    with pytest.raises(ValueError, match="1911-12-31 is before 1912"):
        write(ROC_1 - timedelta(seconds=1))


@pytest.mark.parametrize("write", [roc, roc_long, taipei_date, taipei_time])
def test_a_moment_without_a_zone_is_refused(write: Callable[[datetime], str]) -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        write(datetime(2026, 12, 23))  # noqa: DTZ001 - what is refused


def test_a_certificate_without_an_end_shows_its_end_as_it_stands() -> None:
    without_end = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)  # RFC 5280, 4.1.2.5

    assert taipei_time(without_end) == "9999/12/31 23:59:59"
