"""A real process does the main job and is killed with -9 at every step; then the judge judges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.crash.conftest import Banks

ACTING = ("otp", "billing", "issuance", "revocation", "reminders", "notices")
OUTSIDE = ("SMS", "mail", "bank", "CA")
JOBS = ("scan", "remind", "leave", "tend")
CENTRE = tuple(
    f"centre.{action}"
    for action in ("request", "send_code", "confirm", "collect", "prove", "decline", "pay")
)
EVERYBODY = (*ACTING, "records", "runs", *OUTSIDE, *JOBS, *CENTRE, "station", "station's log")

#: Begin, after intent, before the call, after it before the answer, after that before commit,
#: after commit before the offset, after that.
CONSUMERS_STEPS = {
    "begin", "after intent", "before the call", "after the call", "after answer",
    "before commit", "committed", "before the offset", "after the offset",
}  # fmt: skip


def points_of(banks: Banks, who: str) -> dict[str, int]:
    return {
        point: passes
        for point, passes in banks.unhurt.passes.items()
        if point.partition(": ")[0] == who
    }


def test_nobody_is_killed_and_nothing_is_wrong(banks: Banks) -> None:
    assert banks.unhurt.kills == 0
    assert banks.unhurt.violations == []
    assert banks.unhurt.outcome["dead letters"] == []
    assert banks.unhurt.outcome["parked"] == []
    assert banks.unhurt.outcome["renewals"] == [
        "('R00000001-01', 'done', 'none', 'revoked')",
        "('R00000002-01', 'done', 'consumed', 'kept')",
        "('R00000003-01', 'done', 'captured', 'kept')",
        "('R00000005-01', 'abandoned', 'voided', 'untouched')",
    ]


def test_everybody_who_acts_is_killed_somewhere(banks: Banks) -> None:
    assert {point.partition(": ")[0] for point in banks.unhurt.passes} == set(EVERYBODY)
    for who in ACTING:
        steps = {point.partition(": ")[2] for point in points_of(banks, who)}
        assert steps >= CONSUMERS_STEPS, who


@pytest.mark.parametrize("who", EVERYBODY)
def test_killed_where_each_step_is_first_passed_nothing_is_lost_and_nothing_twice(
    banks: Banks, who: str
) -> None:
    wrong = banks.play_all([(point, 1) for point in points_of(banks, who)])

    assert wrong == []


@pytest.mark.slow
@pytest.mark.parametrize("who", EVERYBODY)
def test_killed_where_each_step_is_passed_later_nothing_is_lost_and_nothing_twice(
    banks: Banks, who: str
) -> None:
    later = [
        (point, at_pass)
        for point, passes in points_of(banks, who).items()
        for at_pass in sorted({(passes + 1) // 2, passes} - {1})
    ]

    wrong = banks.play_all(later)

    assert wrong == []


@pytest.mark.parametrize("steps", [211, 113])
def test_killed_again_and_again_the_story_still_ends_well(banks: Banks, steps: int) -> None:
    """A life with nothing to do passes about a hundred steps: with fewer nobody gets anywhere."""
    ended = banks.play(lambda bank: bank.play(lives_for=steps))

    assert ended.kills > 3
    assert ended.violations == []
    assert ended.outcome == banks.unhurt.outcome
