"""Retries a transaction that met a conflict."""

from __future__ import annotations

from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from renewal.db.identity_map import ConflictError

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

#: Each time that one was not first, another was: so many acts on one thing at once get through.
MAX_TRIES = 10


def retry_on_conflict(transaction: Callable[P, R]) -> Callable[P, R]:
    """
    Retry on ConflictError. The function must be exactly one transaction without other side effects.

    Raises:
        ConflictError: there was a conflict at every attempt.
    """

    @wraps(transaction)
    def again(*args: P.args, **named: P.kwargs) -> R:
        for _ in range(MAX_TRIES - 1):
            with suppress(ConflictError):
                return transaction(*args, **named)
        return transaction(*args, **named)

    return again
