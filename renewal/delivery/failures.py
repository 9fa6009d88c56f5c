"""Isolates the failure of one event, and stops the process when most events fail."""

from __future__ import annotations

import logging
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from renewal.errors import XuqiError
from renewal.store.engine import StoreUnavailableError
from renewal.store.shelf import ConflictError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

log = logging.getLogger(__name__)
T = TypeVar("T")

#: Once so many of the last events have died, something is wrong with us and not with them. Of a
#: batch that is larger: half of it.
TOO_MANY_OF = (50, 100)
#: When somebody else was first, it is read again and decided again so many times.
CONFLICTS = 3


class TooManyFailuresError(XuqiError):
    """
    Most events fail: the process stops instead of burning through the log.
    """


class Lately:
    """
    How the last events ended; what has only begun is taken for sound until it ends.
    """

    def __init__(self) -> None:
        self._died: deque[bool] = deque(maxlen=TOO_MANY_OF[1])

    def check(self, group: str, died: Sequence[bool] = ()) -> None:
        """
        See what the last events look like with these, or these alone if they are more.

        Raises:
            TooManyFailuresError
        """
        among = max(TOO_MANY_OF[1], len(died))
        lately = deque([*self._died, *died], maxlen=among)
        if sum(lately) >= TOO_MANY_OF[0] and 2 * sum(lately) >= among:
            raise TooManyFailuresError(
                f"{sum(lately)} of the last {len(lately)} events of {group} could not be handled: "
                "see its dead letters and the log, mend the cause and start it again"
            )

    def extend(self, died: Sequence[bool]) -> None:
        self._died.extend(died)

    def end(self, died: Sequence[bool]) -> None:
        """
        Take note of the ends of those that had begun.
        """
        for _ in filter(None, died):
            with suppress(ValueError):
                self._died.remove(False)
            self._died.append(True)


def in_halves(
    do: Callable[[Sequence[T]], None],
    things: Sequence[T],
    alone: Callable[[T, Exception], None],
    *,
    conflicts: int = CONFLICTS,
) -> None:
    """
    Do it with all of them at once or, if that fails, with each half, until the bad one is alone.

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
            in_halves(do, things[:middle], alone)
            in_halves(do, things[middle:], alone)
        elif conflicts and isinstance(error, ConflictError):
            in_halves(do, things, alone, conflicts=conflicts - 1)
        else:
            alone(things[0], error)


def what_failed(error: Exception) -> str:
    """
    Say what happened in words that hold nothing personal: a foreign error's text might.
    """
    if isinstance(error, XuqiError):
        return f"{type(error).__name__}: {error}"
    return f"{type(error).__name__} at {_place(error)}"


def complain(what: str, group: str, error: Exception) -> None:
    told = {"consumer": group, "error": type(error).__name__, "place": _place(error)}
    log.error(what, extra=told)


def _place(error: Exception) -> str:
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return f"{place.tb_frame.f_code.co_qualname}:{place.tb_lineno}" if place else "an unknown place"
