"""Isolates a failing event by bisection, and stops a process whose events mostly fail."""

from __future__ import annotations

import logging
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from renewal.db.engine import StoreUnavailableError
from renewal.db.identity_map import ConflictError
from renewal.errors import XuqiError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

log = logging.getLogger(__name__)
T = TypeVar("T")

#: Once so many of the last events have died, something is wrong with us and not with them. Of a
#: batch that is larger: half of it.
TRIP_THRESHOLD = (50, 100)
#: When somebody else was first, it is read again and decided again so many times.
MAX_CONFLICTS = 3


class TooManyFailuresError(XuqiError):
    """Most events fail: the process stops instead of burning through the log."""


class FailureBreaker:
    """
    Trips when most of the last events died; an event in progress counts as sound until it ends.
    """

    def __init__(self) -> None:
        self._died: deque[bool] = deque(maxlen=TRIP_THRESHOLD[1])

    def check(self, group: str, died: Sequence[bool] = ()) -> None:
        """
        Count these outcomes with the last ones and trip if most have died.

        Raises:
            TooManyFailuresError
        """
        among = max(TRIP_THRESHOLD[1], len(died))
        lately = deque([*self._died, *died], maxlen=among)
        if sum(lately) >= TRIP_THRESHOLD[0] and 2 * sum(lately) >= among:
            raise TooManyFailuresError(
                f"{sum(lately)} of the last {len(lately)} events of {group} could not be handled: "
                "see its dead letters and the log, mend the cause and start it again"
            )

    def extend(self, died: Sequence[bool]) -> None:
        self._died.extend(died)

    def end(self, died: Sequence[bool]) -> None:
        """Count the ends of events that had begun."""
        for _ in filter(None, died):
            with suppress(ValueError):
                self._died.remove(False)
            self._died.append(True)


def bisect_on_failure(
    do: Callable[[Sequence[T]], None],
    things: Sequence[T],
    alone: Callable[[T, Exception], None],
    *,
    conflicts: int = MAX_CONFLICTS,
) -> None:
    """
    Process all things at once or, if that fails, each half, until the failing one is alone.

    Raises:
        StoreUnavailableError, TooManyFailuresError: no half would do better.
    """
    try:
        do(things)
    except (StoreUnavailableError, TooManyFailuresError):
        raise
    except Exception as error:  # noqa: BLE001 - the outermost loop: one bad event must not stop the rest
        if len(things) > 1:
            middle = len(things) // 2
            bisect_on_failure(do, things[:middle], alone)
            bisect_on_failure(do, things[middle:], alone)
        elif conflicts and isinstance(error, ConflictError):
            bisect_on_failure(do, things, alone, conflicts=conflicts - 1)
        else:
            alone(things[0], error)


def describe_failure(error: Exception) -> str:
    """Describe an error without personal data: a foreign error's text might contain some."""
    if isinstance(error, XuqiError):
        return f"{type(error).__name__}: {error}"
    return f"{type(error).__name__} at {_location(error)}"


def log_failure(what: str, group: str, error: Exception) -> None:
    facts = {"consumer": group, "error": type(error).__name__, "place": _location(error)}
    log.error(what, extra=facts)


def _location(error: Exception) -> str:
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return f"{frame.tb_frame.f_code.co_qualname}:{frame.tb_lineno}" if frame else "an unknown place"
