"""The codes of an authenticator app, by the vectors of RFC 6238."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from renewal.rules.totp import DRIFT, STEP, code_of, step_at, step_of

SECRET = b"12345678901234567890"
#: RFC 6238, appendix B, for SHA-1: seconds since 1970, and eight digits.
VECTORS = {
    59: "94287082",
    1111111109: "07081804",
    1111111111: "14050471",
    1234567890: "89005924",
    2000000000: "69279037",
    20000000000: "65353130",
}
NOW = datetime(2026, 11, 30, 12, 0, 0, tzinfo=UTC)
HERE = step_at(NOW)


@pytest.mark.parametrize(("at", "code"), VECTORS.items())
def test_the_vectors_of_the_standard(at: int, code: str) -> None:
    step = step_at(datetime.fromtimestamp(at, UTC))

    assert code_of(SECRET, step, digits=8) == code
    assert code_of(SECRET, step) == code[-6:]


@pytest.mark.parametrize("off", range(-DRIFT, DRIFT + 1))
def test_the_code_of_a_clock_that_is_a_step_off_is_taken(off: int) -> None:
    assert step_of(SECRET, code_of(SECRET, HERE + off), NOW, after=0) == HERE + off


@pytest.mark.parametrize("off", [-DRIFT - 1, DRIFT + 1])
def test_the_code_of_another_time_is_not(off: int) -> None:
    assert step_of(SECRET, code_of(SECRET, HERE + off), NOW, after=0) is None


def test_a_code_counts_once_and_none_before_it_counts_any_more() -> None:
    for off in range(-DRIFT, DRIFT + 1):
        assert step_of(SECRET, code_of(SECRET, HERE + off), NOW, after=HERE + DRIFT) is None
    later = NOW + timedelta(seconds=STEP)
    assert step_of(SECRET, code_of(SECRET, HERE + 1), later, after=HERE) == HERE + 1


@pytest.mark.parametrize("code", ["", "0", "１２３４５６", "999999999999", "abcdef"])
def test_what_is_no_code_is_no_code(code: str) -> None:
    assert step_of(SECRET, code, NOW, after=0) is None
