"""A local mailbox file in place of a mail server, the default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from renewal.errors import (
    LATER,
    GatewayRefusedError,
    GatewayUnavailableError,
    GatewayUnsureError,
)
from renewal.gateways.mail.message import ascii_address
from renewal.gateways.mail.verp import token_of
from renewal.gateways.mailbox_file import MailboxFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta
    from pathlib import Path
    from urllib.parse import SplitResult

    from renewal.clock import Clock
    from renewal.gateways.address import Surroundings
    from renewal.gateways.mail.port import Mail

NO_SUCH_MAILBOX = "5.1.1"


@dataclass(frozen=True, kw_only=True)
class MailRefused:
    code: str = NO_SUCH_MAILBOX


@dataclass(frozen=True, kw_only=True)
class MailUnavailable:
    retry_after: timedelta = LATER


@dataclass(frozen=True, kw_only=True)
class MailAnswerLost:
    """Handed over, and nobody hears of it."""


Outcome = MailRefused | MailUnavailable | MailAnswerLost


class LocalMail:
    """
    One JSON line a mail: ``at, to, subject, body, id, ref``; several processes may share the file.

    The body is the text. A mail is handed over unless ``outcome`` says otherwise for it. Safe to
    use from several threads.
    """

    def __init__(
        self,
        ledger_path: Path,
        clock: Clock,
        *,
        outcome: Callable[[Mail], Outcome | None] | None = None,
    ) -> None:
        self._file = MailboxFile(ledger_path, clock)
        self._outcome = outcome or _handed_over

    def close(self) -> None:
        self._file.close()

    def send(self, mail: Mail) -> str:
        ascii_address(mail.to)
        outcome = self._outcome(mail)
        match outcome:
            case MailRefused():
                raise GatewayRefusedError(f"refused: {outcome.code}", code=outcome.code)
            case MailUnavailable():
                raise GatewayUnavailableError("told to fail", retry_after=outcome.retry_after)
        message_id = f"<{token_of(mail.id)}@localhost>"
        self._file.append(
            to=mail.to, subject=mail.subject, body=mail.text, id=message_id, ref=mail.id
        )
        if isinstance(outcome, MailAnswerLost):
            raise GatewayUnsureError("told to lose the answer")
        return message_id

    def find(self, mail: Mail, *, since: datetime) -> str | None:
        line = self._file.of_ref(mail.id, since=since)
        return line.id if line else None


def _handed_over(_: Mail) -> None:
    return None


def from_url(_: SplitResult, around: Surroundings) -> LocalMail:
    """``local:``, a mailbox under this installation's folder."""
    return LocalMail(around.activity("mail"), around.clock)
