"""Judges by the server's processes whether two connections have sessions of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from renewal.db.sessions import have_their_own

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa


class Pooled:
    """A connection behind a pooler that has each question answered by the process given next."""

    def __init__(self, answers: Iterator[int]) -> None:
        self._answers = answers

    def execute(self, _statement: Any) -> Pooled:  # noqa: ANN401 - any question
        return self

    def scalar_one(self) -> int:
        return next(self._answers)


@pytest.mark.parametrize(
    ("answers", "own"),
    [
        pytest.param((1, 1, 2, 2, 1, 1, 2, 2), True, id="each its own"),
        pytest.param((1, 1, 1, 1, 1, 1, 1, 1), False, id="one for both"),
        pytest.param((1, 2, 1, 2, 1, 2, 1, 2), False, id="two in turn"),
        pytest.param((1, 1, 2, 2, 2, 2, 1, 1), False, id="what is free at the moment"),
    ],
)
def test_two_connections_have_their_own_sessions_if_each_meets_one_process(
    answers: tuple[int, ...],
    own: bool,  # noqa: FBT001 - the right answer
) -> None:
    dealt = iter(answers)
    one, other = (cast("sa.Connection", Pooled(dealt)) for _ in range(2))

    assert have_their_own(one, other) is own
