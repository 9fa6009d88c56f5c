"""An address rests only for what was proven of itself, and never for good."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from renewal.rules.resting import Proof, rests_until

NOW = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)


def days(proofs: list[tuple[int, int]], needed: int, *, codes: bool = False) -> int | None:
    """``proofs``: (days ago, how many of its kind are proof); the latest is now."""
    before = [Proof(NOW - ago * DAY, of) for ago, of in proofs]
    until = rests_until(before, Proof(NOW, needed), codes=codes)
    return None if until is None else (until - NOW).days


@pytest.mark.parametrize(
    ("proofs", "needed", "rests"),
    [
        ([], 0, None),  # it says nothing of the address
        ([], 1, 7),
        ([(40, 1)], 1, 30),
        ([(40, 1), (80, 1)], 1, 90),
        ([(40, 1), (80, 1), (120, 1)], 1, 90),
        ([(181, 1)], 1, 7),  # forgotten
        ([], 2, None),
        ([(14, 2)], 2, 7),
        ([(15, 2)], 2, None),  # too far apart
        ([(1, 3), (2, 3)], 2, None),  # softer ones are no proof of a harder one
        ([(1, 1)], 2, 7),  # harder ones are
        ([(1, 0), (2, 0)], 2, None),
        ([(1, 3)], 3, None),
        ([(1, 3), (2, 3)], 3, 7),
    ],
)
def test_how_long_an_address_rests(
    proofs: list[tuple[int, int]], needed: int, rests: int | None
) -> None:
    assert days(proofs, needed) == rests


@pytest.mark.parametrize(("proofs", "rests"), [([], None), ([(1, 1)], 1), ([(1, 1), (2, 1)], 1)])
def test_codes_need_one_proof_more_and_rest_a_day(
    proofs: list[tuple[int, int]], rests: int | None
) -> None:
    assert days(proofs, 1, codes=True) == rests
