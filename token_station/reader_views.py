"""What the station shows of a reader."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ReaderStatus(StrEnum):
    """What the station's screen shows of a reader."""

    EMPTY = "no token in the reader"
    OTHER_TOKEN = "this token has no renewal waiting"  # noqa: S105 - what is seen, no secret
    WAITS_FOR_PIN = "waits for the PIN"
    PIN_WRONG = "the PIN is wrong"
    PIN_UNFIT = "this cannot be a PIN: it was not tried"
    PIN_BLOCKED = "the PIN is blocked"
    LAST_TRY = "one try is left: a person must release it"
    WAITS_FOR_CONSENT = "holds a key that is not ours: its holder must give it up"
    WAITS_FOR_CA = "waits for the new certificate"
    DONE = "written and proven"
    DECLINED = "cannot be renewed here"
    REMOVED = "the token was removed"
    TROUBLE = "the token did not answer as it should"


@dataclass(frozen=True, kw_only=True)
class ReaderView:
    """One look at one reader."""

    reader: str
    status: ReaderStatus
    token_serial: str = ""
    renewal: str = ""
    tries_left: int | None = None
    detail: str = ""
