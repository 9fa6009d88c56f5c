"""Decides again what another transaction was first to change."""

from __future__ import annotations

from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from renewal.store.shelf import ConflictError

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

#: Each time that one was not first, another was: so many acts on one thing at once get through.
TRIES = 10


def decides_again(transaction: Callable[P, R]) -> Callable[P, R]:
    """
    Let what is one transaction, and nothing besides, read and decide again when it was not first.

    Raises:
        ConflictError: others were first each time.
    """

    @wraps(transaction)
    def again(*args: P.args, **named: P.kwargs) -> R:
        for _ in range(TRIES - 1):
            with suppress(ConflictError):
                return transaction(*args, **named)
        return transaction(*args, **named)

    return again
