"""How long a test waits for what another thread or process is to do, on a machine that is busy."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 120.0


def patiently(pause: float = 0.05) -> Iterator[None]:
    """Turns to look, by time and not by number: how fast a look is says nothing of the other."""
    over = time.monotonic() + SECONDS
    while time.monotonic() < over:
        yield
        time.sleep(pause)
