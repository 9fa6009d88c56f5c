"""Dates of the ROC calendar are written as in Taiwan, and read as people type them."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema import roc
from schema.roc import RocDateError

DAYS = st.dates(date(1912, 1, 1), date(2200, 12, 31))
SAMPLE = date(2023, 4, 17)


@pytest.mark.shows("C05")
def test_the_query_date_is_written_in_the_roc_calendar() -> None:
    assert roc.short(SAMPLE) == "112/04/17"
    assert roc.long(SAMPLE) == "民國112年4月17日"


def test_of_a_moment_its_day_in_taipei_is_written() -> None:
    assert roc.short(datetime(2023, 4, 16, 16, 0, tzinfo=UTC)) == "112/04/17"
    assert roc.short(datetime(2023, 4, 16, 15, 59, 59, tzinfo=UTC)) == "112/04/16"


@pytest.mark.parametrize(
    "text",
    [
        "112/04/17",
        "112/4/17",
        "112-04-17",
        "112.04.17",
        "1120417",
        "112年4月17日",
        "民國112年4月17日",
        "民國 112 年 04 月 17 日",
        "１１２／０４／１７",
        "民國１１２年４月１７日",
        "2023/04/17",
        "2023-04-17",
        "20230417",
        "2023年4月17日",
        "２０２３／０４／１７",
        " 112/04/17 ",
    ],
)
def test_a_date_is_read_however_it_is_typed(text: str) -> None:
    assert roc.parse(text) == SAMPLE


@given(day=DAYS)
def test_what_is_written_is_read_again(day: date) -> None:
    assert roc.parse(roc.short(day)) == day
    assert roc.parse(roc.long(day)) == day
    assert roc.parse(day.isoformat()) == day


def test_the_first_day_is_written_and_the_day_before_is_refused() -> None:
    assert roc.short(date(1912, 1, 1)) == "1/01/01"
    assert roc.parse("民國元年1月1日") == date(1912, 1, 1)
    for write in (roc.short, roc.long):
        with pytest.raises(RocDateError, match="begins with 1912"):
            write(date(1911, 12, 31))
    with pytest.raises(RocDateError, match="begins with 1912"):
        roc.parse("1911/12/31")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "112/04",
        "112/04-17",
        "112/04/17x",
        "0/01/01",
        "000/01/01",
        "112/13/01",
        "112/02/29",
        "2023/02/29",
        "民國前1年1月1日",
        "0000/01/01",
        "9999999/01/01",
        "²/01/01/",
        "一一二年四月十七日",
        "民國2023年4月17日",
    ],
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(RocDateError):
        roc.parse(text)


@given(text=st.text("0123456789/-.年月日民國元前 ０９／", max_size=14))
def test_whatever_is_typed_is_a_date_since_1912_or_refused(text: str) -> None:
    try:
        day = roc.parse(text)
    except RocDateError:
        return

    assert day >= date(1912, 1, 1)
