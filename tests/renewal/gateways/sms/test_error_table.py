"""Each number of the table has the class, and what follows, that the facts ask for."""

from __future__ import annotations

from datetime import timedelta

import pytest

from renewal.gateways.sms.errors import (
    ErrorAction,
    ErrorClass,
    ErrorTableError,
    Resend,
    action_for,
    classify,
    known,
    meaning,
    read_table,
    table,
)

# Written down apart from the table, from the facts: a slip in either shows.
EXPECTED = {
    ErrorClass.RECIPIENT: "21211 21614 21635",
    ErrorClass.UNREACHABLE: "30004 30005 30006",
    ErrorClass.BLOCKED: "21610",
    ErrorClass.ROUTE: "21612",
    ErrorClass.CONTENT: "21602 21617 30007 30038",
    ErrorClass.CONFIGURATION: (
        "401 403 404 10001 20003 20005 20006 20008 20403 20404 21408 21601 21603 21606 21607"
        " 21608 21609 21659 21660 21701 21702 21703 21704 21705 30002 30018 30024 30032 30034"
        " 30035 63038 90010"
    ),
    ErrorClass.TRANSIENT: (
        "429 500 502 503 504 14107 20429 20500 20503 20504 21611 21730 30001 30021 30022 30023"
        " 30027 30410 30500 63017"
    ),
    ErrorClass.SOFT: "30003 30008",
    ErrorClass.STALE: "30036",
}
ROWS = [(code, of) for of, codes in EXPECTED.items() for code in codes.split()]


@pytest.mark.parametrize(("code", "of"), ROWS)
def test_a_number_has_its_class(code: str, of: ErrorClass) -> None:
    assert classify(code) is of
    assert classify(int(code)) is of


def test_no_row_is_without_a_test() -> None:
    assert set(table().codes) == {code for code, _ in ROWS}


@pytest.mark.parametrize("code", list(table().codes))
def test_a_number_has_a_meaning_for_staff(code: str) -> None:
    assert meaning(code)
    assert meaning(code) != meaning("99999")


def _later(minutes: int) -> ErrorAction:
    wait = timedelta(minutes=minutes)
    return ErrorAction(about="", next_channel=True, again=Resend.LATER, again_after=wait, at_most=2)


FOLLOWS = {
    ErrorClass.RECIPIENT: ErrorAction(about="", proofs=1, next_channel=True),
    ErrorClass.UNREACHABLE: ErrorAction(about="", proofs=2, next_channel=True),
    ErrorClass.BLOCKED: ErrorAction(about="", proofs=1, next_channel=True),
    ErrorClass.ROUTE: ErrorAction(about="", alarm=True, next_channel=True),
    ErrorClass.CONTENT: ErrorAction(about="", alarm=True, next_channel=True),
    ErrorClass.CONFIGURATION: ErrorAction(about="", alarm=True, stop_lane=True, next_channel=True),
    ErrorClass.TRANSIENT: _later(30),
    ErrorClass.SOFT: _later(30),
    ErrorClass.STALE: _later(1),
}


@pytest.mark.parametrize("of", list(ErrorClass))
def test_what_follows_from_a_class(of: ErrorClass) -> None:
    told = action_for(of)

    assert {**vars(told), "about": ""} == vars(FOLLOWS[of])
    assert told.about


def test_an_unknown_number_that_is_reported_is_final_and_somebody_looks() -> None:
    assert known("12345") is None
    assert classify("12345") is ErrorClass.CONTENT
    assert action_for("12345").alarm
    assert action_for("12345").again is Resend.NO


def _table(extra: str = "", but: str = "") -> str:
    sections = [f'[{name}]\nabout = "x"\n[{name}.codes]\n' for name in ErrorClass if name != but]
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
