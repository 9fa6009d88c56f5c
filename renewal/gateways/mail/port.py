"""What the house asks of whoever carries mail."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Mail:
    id: str  #: our own message id; becomes the Message-ID and the ENVID
    to: str
    subject: str
    text: str
    html: str | None
    locale: str  #: "zh-TW" or "en": becomes Content-Language
    unsubscribable: bool  #: reminders only, never codes or receipts


class MailGateway(Protocol):
    def send(self, mail: Mail) -> str:
        """
        Hand the mail over to the next server and return its Message-ID.

        Raises:
            GatewayUnavailableError: not handed over; try later.
            GatewayRefusedError: the recipient or the content is refused for good.
            GatewayUnsureError: the connection broke after the content was sent.
        """
        ...

    def find(self, mail: Mail, *, since: datetime) -> str | None:
        """
        Return the Message-ID if this very mail is known to have been handed over since then.
        """
        ...
