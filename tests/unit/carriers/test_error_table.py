"""Each number of the table has the class, and what follows, that the facts ask for."""

from __future__ import annotations

from datetime import timedelta

import pytest

from renewal.gateways.sms.errors import (
    Again,
    Class,
    ErrorTableError,
    Follow,
    classify,
    follows,
    meaning,
    read_table,
    table,
)

# Written down apart from the table, from the facts: a slip in either shows.
EXPECTED = {
    Class.RECIPIENT: "21211 21614 21612 30005 30006",
    Class.BLOCKED: "21610 30004",
    Class.CONTENT: "21602 21617 30007 30038",
    Class.CONFIGURATION: (
        "401 403 404 20003 20404 21408 21603 21606 21703 21704 21705 30002 30018 30024 63038"
    ),
    Class.TRANSIENT: "429 500 502 503 504 20429 20500 20503 21611 30001 30410",
    Class.SOFT: "30003 30008",
    Class.STALE: "30036",
}
ROWS = [(code, of) for of, codes in EXPECTED.items() for code in codes.split()]


@pytest.mark.parametrize(("code", "of"), ROWS)
def test_a_number_has_its_class(code: str, of: Class) -> None:
    assert classify(code) is of
    assert classify(int(code)) is of


def test_no_row_is_without_a_test() -> None:
    assert set(table().codes) == {code for code, _ in ROWS}


@pytest.mark.parametrize("code", list(table().codes))
def test_a_number_has_a_meaning_for_staff(code: str) -> None:
    assert meaning(code)
    assert meaning(code) != meaning("99999")


FOLLOWS = {
    Class.RECIPIENT: Follow(about="", bad_contact=True, next_channel=True),
    Class.BLOCKED: Follow(about="", suppress=True, next_channel=True),
    Class.CONTENT: Follow(about="", alarm=True),
    Class.CONFIGURATION: Follow(about="", alarm=True, stop_lane=True),
    Class.TRANSIENT: Follow(about="", again=Again.BACKOFF),
    Class.SOFT: Follow(
        about="",
        next_channel=True,
        again=Again.LATER,
        again_after=timedelta(minutes=30),
        at_most=2,
    ),
    Class.STALE: Follow(about=""),
}


@pytest.mark.parametrize("of", list(Class))
def test_what_follows_from_a_class(of: Class) -> None:
    told = follows(of)

    assert {**vars(told), "about": ""} == vars(FOLLOWS[of])
    assert told.about


def test_an_unknown_number_is_final_and_somebody_looks() -> None:
    assert classify("12345") is Class.CONTENT
    assert follows("12345").alarm
    assert follows("12345").again is Again.NO


def _table(extra: str = "", but: str = "") -> str:
    sections = [f'[{name}]\nabout = "x"\n[{name}.codes]\n' for name in Class if name != but]
    return "".join(sections) + extra


def test_a_number_that_stands_twice_is_refused() -> None:
    text = _table('1 = "once"\n').replace("[soft.codes]\n", '[soft.codes]\n1 = "again"\n')

    with pytest.raises(ErrorTableError, match="1 stands in soft and stale"):
        read_table(text)


def test_a_table_without_a_class_is_refused() -> None:
    with pytest.raises(ErrorTableError, match="soft"):
        read_table(_table(but="soft"))


def test_a_class_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ErrorTableError, match="hopeless"):
        read_table(_table("[hopeless]\n"))


def test_a_word_that_nobody_knows_is_refused() -> None:
    text = _table().replace('[soft]\nabout = "x"', '[soft]\nabout = "x"\nsupress = true')

    with pytest.raises(ErrorTableError, match=r"\[soft\].*supress"):
        read_table(text)
