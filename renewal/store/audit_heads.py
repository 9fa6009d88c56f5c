"""Tells the newest line of the audit trail outside the database, where its owner cannot cut it."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from renewal.errors import XuqiError

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AuditHeads:
    """
    A file that is only appended to, and the process's log: number and hash of each line.
    """

    path: Path

    def tell(self, number: int, hash_: bytes, at: datetime) -> None:
        line = json.dumps({"at": at.isoformat(), "number": number, "hash": hash_.hex()})
        log.info("audit head", extra={"number": number, "hash": hash_.hex()})
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(file, f"{line}\n".encode())
            finally:
                os.close(file)
        except OSError as error:  # the line itself is in the trail: what was done is done
            log.critical("the audit head cannot be told to its file: %s", error.strerror)

    def noted(self) -> dict[int, str]:
        """
        The hash of each line as it was told; a line that was written half is left out.

        Raises:
            XuqiError: the file cannot be read.
        """
        found: dict[int, str] = {}
        try:
            with self.path.open(encoding="ascii", errors="replace") as lines:
                for line in lines:
                    try:
                        entry = json.loads(line)
                        found[int(entry["number"])] = str(entry["hash"])
                    except (ValueError, KeyError, TypeError):
                        continue
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise XuqiError(f"{self.path}: cannot be read: {error.strerror}") from error
        return found
