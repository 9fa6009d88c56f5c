"""Accepts mail and keeps ids only, for benchmarks."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from renewal.gateways.mail.port import Mail


class NullMail:
    def __init__(self) -> None:
        self.sent = 0
        self._lock = threading.Lock()

    def send(self, mail: Mail) -> str:  # noqa: ARG002 - the port's
        with self._lock:
            self.sent += 1
            return f"<null-{self.sent}@localhost>"

    def find(self, mail: Mail, *, since: datetime) -> str | None:  # noqa: ARG002 - the port's
        return None
