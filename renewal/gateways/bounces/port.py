"""The port to a mailbox of bounces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, kw_only=True)
class StoredReport:
    key: str  #: of the mail, in its mailbox
    raw: bytes  #: of what is longer than a report, no more than shows that


class BounceMailbox(Protocol):
    def unread(self, at_most: int) -> Sequence[StoredReport]:
        """
        Return so many mails that are not marked yet, the oldest first, and leave them unmarked.

        Raises:
            GatewayUnavailableError: the mailbox cannot be reached; try later.
            GatewayRefusedError: the log-in or the folder is refused.
        """
        ...

    def mark(self, key: str) -> None:
        """
        Mark one as read, so that it is not unread again.

        Raises:
            GatewayUnavailableError: it may come again.
        """
        ...

    def close(self) -> None: ...
