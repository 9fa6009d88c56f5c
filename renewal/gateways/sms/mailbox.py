"""A local mailbox file in place of an SMS carrier, the default."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from renewal.errors import (
    LATER,
    GatewayRefusedError,
    GatewayUnavailableError,
    GatewayUnsureError,
)
from renewal.gateways.mailbox_file import MailboxFile
from renewal.gateways.sms.errors import meaning
from renewal.gateways.sms.port import DeliveryReport, Sms

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta
    from pathlib import Path
    from urllib.parse import SplitResult

    from renewal.clock import Clock
    from renewal.gateways.address import Surroundings

LANDLINE = "21614"
OPTED_OUT = "21610"
NO_SUCH_MESSAGE = "20404"


@dataclass(frozen=True, kw_only=True)
class SmsRefused:
    code: str = LANDLINE


@dataclass(frozen=True, kw_only=True)
class SmsUnavailable:
    retry_after: timedelta = LATER


@dataclass(frozen=True, kw_only=True)
class SmsAnswerLost:
    """Handed over, and nobody hears of it."""


@dataclass(frozen=True, kw_only=True)
class SmsReported:
    """Handed over, and this is what the carrier says of it afterwards."""

    report: DeliveryReport
    code: str = ""


Outcome = SmsRefused | SmsUnavailable | SmsAnswerLost | SmsReported


class LocalSms:
    """
    One JSON line a message: ``at, to, body, id, ref``; several processes may share the file.

    A message is delivered unless ``outcome`` says otherwise for it. Safe to use from threads.
    """

    def __init__(
        self,
        ledger_path: Path,
        clock: Clock,
        *,
        outcome: Callable[[Sms], Outcome | None] | None = None,
    ) -> None:
        self._file = MailboxFile(ledger_path, clock)
        self._outcome = outcome or _delivered

    def close(self) -> None:
        self._file.close()

    def send(self, sms: Sms) -> str:
        outcome = self._outcome(sms)
        match outcome:
            case SmsRefused():
                raise GatewayRefusedError(meaning(outcome.code), code=outcome.code)
            case SmsUnavailable():
                raise GatewayUnavailableError("told to fail", retry_after=outcome.retry_after)
        carrier_id = "SM" + secrets.token_hex(16)
        self._file.append(
            to=sms.to, body=sms.body, id=carrier_id, ref=sms.id, **_said_later(outcome)
        )
        if isinstance(outcome, SmsAnswerLost):
            raise GatewayUnsureError("told to lose the answer")
        return carrier_id

    def find(self, sms: Sms, *, since: datetime) -> str | None:
        line = self._file.of_ref(sms.id, since=since)
        return line.id if line else None

    def report(self, carrier_id: str) -> tuple[DeliveryReport, str]:
        line = self._file.of_id(carrier_id)
        if line is None:
            raise GatewayRefusedError("no such message", code=NO_SUCH_MESSAGE)
        return DeliveryReport(line.final or DeliveryReport.DELIVERED), line.code


def _said_later(outcome: Outcome | None) -> dict[str, str]:
    if not isinstance(outcome, SmsReported):
        return {}
    return {"final": outcome.report.value, "code": outcome.code}


def _delivered(_: Sms) -> None:
    return None


def from_url(_: SplitResult, around: Surroundings) -> LocalSms:
    """``local:``, a mailbox under this installation's folder."""
    return LocalSms(around.activity("sms"), around.clock)
