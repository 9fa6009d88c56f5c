"""Records the CA's acts, first in its database and then in its activity log."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from renewal.errors import GatewayUnavailableError
from renewal.gateways.ca.embedded import outside

if TYPE_CHECKING:
    from datetime import datetime

    from renewal.gateways.activity_log import ActivityLog
    from renewal.gateways.ca.embedded.database import CaDatabase, CaEntry


@dataclass(frozen=True)
class CaHistory:
    book: CaDatabase
    ledger: ActivityLog | None

    def remember(
        self, op: str, entry: CaEntry, at: datetime, *, request_id: str | None, reason: str | None
    ) -> None:
        """Keep a deed in the transaction that does it."""
        line = {
            "at": at.isoformat(timespec="microseconds"),
            "op": op,
            "serial": entry.serial,
            "subject": entry.subject,
            "spki_sha256": entry.spki_sha256,
            "not_before": entry.not_before,
            "not_after": entry.not_after,
            "request_id": request_id,
            "reason": reason,
        }
        self.book.keep_deed(
            op=op,
            serial=entry.serial,
            request_id=request_id,
            line=json.dumps(line, ensure_ascii=False),
        )

    def tell(self) -> None:
        """
        Bring the outside ledger up to date, each deed once.

        The deed stands already: when the book is busy now, or the disk full, the next deed or the
        next opening tells it.
        """
        if self.ledger is not None:
            with suppress(GatewayUnavailableError, OSError):
                outside.tell(self.book, self.ledger)
