"""The port to an SMS carrier."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from renewal.errors import GatewayUnavailableError

#: How long a person needs at the least to mend a setting.
MISCONFIGURED_RETRY = timedelta(minutes=15)


class GatewayMisconfiguredError(GatewayUnavailableError):
    """
    Our own configuration is wrong: stop the lane, tell staff, keep the messages, count no try.

    Nothing happened. ``code`` is the carrier's word for it.
    """

    spends_a_try = False

    def __init__(
        self, why: str, *, code: str = "", retry_after: timedelta = MISCONFIGURED_RETRY
    ) -> None:
        super().__init__(why, retry_after=retry_after)
        self.code = code


class Lane(StrEnum):
    """Codes never wait behind reminders: each lane has its own sender and its own limits."""

    CODES = "codes"
    REMINDERS = "reminders"


@dataclass(frozen=True, kw_only=True)
class Sms:
    id: str  #: our own message id; the carrier sees it as the reference
    to: str  #: E.164
    body: str
    lane: Lane
    valid_for: timedelta | None = (
        None  #: after this the carrier drops it instead of delivering it late
    )


class DeliveryReport(StrEnum):
    """What a carrier says of a message that it accepted."""

    UNDER_WAY = "under way"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"


class SmsGateway(Protocol):
    def send(self, sms: Sms) -> str:
        """
        Hand the message over and return the carrier's id for it.

        Raises:
            GatewayUnavailableError: not handed over; try later.
            GatewayMisconfiguredError: not handed over; our configuration must be mended first.
            GatewayRefusedError: never deliverable; ``code`` is the carrier's error number.
            GatewayUnsureError: the answer was lost; ask ``find`` before sending again.
        """
        ...

    def find(self, sms: Sms, *, since: datetime) -> str | None:
        """
        Return the carrier's id of this very message if it was handed over since then.

        Raises:
            GatewayUnavailableError: the carrier cannot be asked now.
            GatewayUnsureError: the carrier keeps nothing by which to know the message again;
                wait for its report.
        """
        ...

    def report(self, carrier_id: str) -> tuple[DeliveryReport, str]:
        """
        Return what became of a message, with the carrier's error number or an empty string.

        Raises:
            GatewayUnavailableError: the carrier cannot be asked now.
            GatewayRefusedError: the carrier knows no such message.
        """
        ...
