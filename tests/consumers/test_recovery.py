"""Shows what becomes of a reminder that was claimed before, row by row of the table."""

from __future__ import annotations

from itertools import product

import pytest

from consumers.reminders.recovery import CASES, Recovery, RecoveryCase, Situation, recovery_of

FIELDS = tuple(Situation.__dataclass_fields__)
EVERY = [
    Situation(**dict(zip(FIELDS, values, strict=True)))
    for values in product((False, True), repeat=len(FIELDS))
]
#: A claimed reminder that is wanted and may go at once; each case says what is otherwise.
PLAIN = {
    "may_have_been_sent": False,
    "is_wanted": True,
    "must_wait": False,
    "other_in_time": False,
    "has_address": True,
}


@pytest.mark.parametrize(
    ("otherwise", "then"),
    [
        ({}, Recovery.SEND),
        ({"may_have_been_sent": True}, Recovery.SEND),
        ({"must_wait": True}, Recovery.WAIT),
        ({"must_wait": True, "may_have_been_sent": True}, Recovery.WAIT),
        ({"must_wait": True, "other_in_time": True}, Recovery.SWITCH),
        (
            {"must_wait": True, "other_in_time": True, "may_have_been_sent": True},
            Recovery.WAIT,
        ),
        ({"other_in_time": True}, Recovery.SEND),
        ({"is_wanted": False}, Recovery.WITHDRAW),
        ({"is_wanted": False, "has_address": False}, Recovery.WITHDRAW),
        ({"is_wanted": False, "may_have_been_sent": True}, Recovery.INQUIRE),
        (
            {"is_wanted": False, "may_have_been_sent": True, "has_address": False},
            Recovery.WITHDRAW,
        ),
    ],
    ids=str,
)
def test_a_claimed_reminder_goes_on_as_its_situation_says(
    otherwise: dict[str, bool], then: Recovery
) -> None:
    assert recovery_of(Situation(**{**PLAIN, **otherwise})).then is then


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_row_is_the_first_that_fits_some_situation(case: RecoveryCase) -> None:
    assert set(case.when) <= set(FIELDS)
    assert any(recovery_of(situation) is case for situation in EVERY)


@pytest.mark.parametrize("situation", EVERY, ids=str)
def test_what_may_have_been_sent_is_neither_sent_otherwise_nor_forgotten(
    situation: Situation,
) -> None:
    then = recovery_of(situation).then

    if situation.may_have_been_sent:
        assert then is not Recovery.SWITCH
        assert (then is Recovery.WITHDRAW) <= (not situation.has_address)
    if situation.must_wait:
        assert then in {Recovery.WAIT, Recovery.SWITCH}
