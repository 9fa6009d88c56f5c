"""An event that is waited for, and never comes: for tests of who asks again, and when."""

from __future__ import annotations

import threading


class Waits(threading.Event):
    """Writes down for how long it would have waited; after so many times it is set."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.told: list[float | None] = []
        self._times = times

    def wait(self, timeout: float | None = None) -> bool:
        self.told.append(timeout)
        if len(self.told) == self._times:
            self.set()
        return self.is_set()
