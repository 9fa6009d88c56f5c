"""One-time codes are made again and not kept; guessing and pumping do not pay."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renewal.rules.code import (
    digits,
    fingerprint,
    is_locked,
    may_send,
    same,
)
from schema.reasons import RefusalReason

KEY = bytes(range(32))
PEPPER = bytes(range(32, 64))


@pytest.mark.shows("B09")
def test_a_redelivery_sends_the_same_code_and_a_new_sending_another() -> None:
    first = digits(KEY, "challenge-1", 1, 6)

    assert digits(KEY, "challenge-1", 1, 6) == first
    assert digits(KEY, "challenge-1", 2, 6) != first
    assert digits(KEY, "challenge-2", 1, 6) != first
    assert digits(PEPPER, "challenge-1", 1, 6) != first


@given(challenge=st.text(max_size=40), number=st.integers(0, 99), length=st.integers(4, 10))
def test_a_code_has_its_length_in_plain_digits(challenge: str, number: int, length: int) -> None:
    made = digits(KEY, challenge, number, length)

    assert len(made) == length
    assert set(made) <= set("0123456789")


def test_each_digit_is_equally_likely_in_each_place() -> None:
    codes = [digits(KEY, "challenge", number, 4) for number in range(10_000)]

    for place in range(4):
        seen = Counter(made[place] for made in codes)
        # Chi-squared with 9 degrees of freedom: 33.7 is passed by chance once in 10 000.
        assert sum((seen[d] - 1000) ** 2 / 1000 for d in "0123456789") < 33.7


def test_a_draw_that_would_favour_low_numbers_is_thrown_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draws = iter([b"\xff" * 32, (20_000 + 42).to_bytes(8) + bytes(24)])
    drawn_from = []

    def draw(_key: bytes, message: bytes, _method: object) -> bytes:
        drawn_from.append(message)
        return next(draws)

    monkeypatch.setattr("renewal.rules.code.hmac.digest", draw)

    assert digits(KEY, "challenge", 1, 4) == "0042"
    assert len(set(drawn_from)) == 2


def test_the_stored_fingerprint_knows_its_code_and_challenge_only() -> None:
    stored = fingerprint(PEPPER, "challenge-1", "0042")

    assert same(stored, fingerprint(PEPPER, "challenge-1", "0042"))
    assert not same(stored, fingerprint(PEPPER, "challenge-1", "0043"))
    assert not same(stored, fingerprint(PEPPER, "challenge-2", "0042"))
    assert not same(stored, fingerprint(KEY, "challenge-1", "0042"))


def test_moving_a_character_from_the_challenge_to_the_code_is_another_fingerprint() -> None:
    assert fingerprint(PEPPER, "challenge-1", "0042") != fingerprint(PEPPER, "challenge-", "10042")


@pytest.mark.parametrize(
    ("ten", "day", "block", "why"),
    [
        (4, 9, 19, None),
        (5, 9, 19, RefusalReason.CODES_IN_TEN_MINUTES),
        (4, 10, 19, RefusalReason.CODES_TODAY),
        (4, 9, 20, RefusalReason.CODES_FROM_ADDRESSES),
    ],
)
def test_a_code_is_sent_up_to_each_limit(
    ten: int, day: int, block: int, why: RefusalReason | None
) -> None:
    refusal = may_send(sent_last_10_min=ten, sent_today=day, sent_hour_ip_block=block)

    assert refusal is why


def test_ten_failures_in_a_day_lock() -> None:
    assert not is_locked(9)
    assert is_locked(10)
