"""The port to a mail carrier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Mail:
    id: str  #: our own message id; becomes the Message-ID and the ENVID
    to: str
    subject: str
    text: str
    html: str | None
    locale: str  #: "zh-TW" or "en": becomes Content-Language
    dated: datetime | None = None  #: the same for a copy that is sent again; none: now


class MailGateway(Protocol):
    def send(self, mail: Mail) -> str:
        """
        Hand the mail over to the next server and return its Message-ID.

        Raises:
            GatewayUnavailableError: not handed over; try later.
            GatewayMisconfiguredError: not handed over; our configuration must be mended first.
            GatewayRefusedError: the recipient or the content is refused for good; ``code`` is
                the status (RFC 3463, for instance 5.1.1), else the reply code (550).
            GatewayUnsureError: the connection broke after the content was sent.
        """
        ...

    def find(self, mail: Mail, *, since: datetime) -> str | None:
        """
        Return the Message-ID if this very mail is known to have been handed over since then.

        ``None`` may also mean that nobody can be asked: SMTP has no such question.
        """
        ...
