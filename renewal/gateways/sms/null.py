"""Accepts text messages and keeps ids only, for benchmarks."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from renewal.gateways.sms.port import DeliveryReport, Sms

if TYPE_CHECKING:
    from datetime import datetime


class NullSms:
    def __init__(self) -> None:
        self.sent = 0
        self._lock = threading.Lock()

    def send(self, sms: Sms) -> str:  # noqa: ARG002 - the port's
        with self._lock:
            self.sent += 1
            return f"null-{self.sent}"

    def find(self, sms: Sms, *, since: datetime) -> str | None:  # noqa: ARG002 - the port's
        return None

    def report(self, carrier_id: str) -> tuple[DeliveryReport, str]:  # noqa: ARG002 - the port's
        return DeliveryReport.DELIVERED, ""
