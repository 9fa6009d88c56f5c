"""What the station's pages share: who works here, the lock, the trail, problems."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from token_station.errors import (
    BadPinFormatError,
    CardRemovedError,
    LastTryError,
    PinBlockedError,
    PinWrongError,
    PukBlockedError,
    PukWrongError,
)
from web.app import ref_of
from web.errors import PageError, error_texts
from web.language import locale_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from templates.bank import BankDetails
    from token_station.errors import TokenError
    from token_station.screen.audit import Trail
    from token_station.screen.clerks import Clerk, Clerks
    from token_station.screen.worker import Worker
    from web.app import Kit
    from web.sessions import Session

FACE = "station"


class LockedError(Exception):
    """The pages are locked until the clerk gives the password again."""


#: The page's script locks after so long without a key or a pointer's move.
IDLE = timedelta(minutes=5)
#: Whatever the script does: after so long without a page that somebody asked for.
LOCKED_AFTER = timedelta(minutes=10)


@dataclass(frozen=True, kw_only=True)
class StationSite:
    kit: Kit
    worker: Worker
    clerks: Clerks
    trail: Trail

    def clerk(self, request: Request, *, by_hand: bool = True) -> Clerk:
        """
        Who works here now. ``by_hand``: what comes from a person, and not from the page's script.

        Raises:
            PageError: nobody is logged in.
            LockedError
        """
        session = self.kit.signed_in(request)
        clerk = self.clerks.find(session.subject)
        if clerk is None:
            self.kit.sessions.end(session)
            raise PageError("E9401")
        if self.is_locked(session):
            raise LockedError
        if by_hand:
            self.kit.keep(request, session, active_at=self.kit.clock.now().isoformat())
        return clerk

    def is_locked(self, session: Session) -> bool:
        active_at = session.body.get("active_at")
        if session.body.get("locked") or active_at is None:
            return True
        return self.kit.clock.now() - datetime.fromisoformat(active_at) > LOCKED_AFTER

    def allows(self, clerk: Clerk, serial: str) -> None:
        """
        Raises:
            PageError: it is the clerk's own token.
        """
        if serial in clerk.own_tokens:
            self.trail.record(clerk.name, "own token refused", token=serial)
            raise PageError("E5301")

    def problem(self, request: Request, code: str, zh: str = "", en: str = "") -> dict[str, Any]:
        """What ``x.problem`` shows."""
        more = en if locale_of(request) == "en" else zh
        ref = ref_of(request, code, self.kit.clock.now())
        return {"error": error_texts()[code], "code": code, "ref": ref, "more": more}

    def problem_of(self, request: Request, error: TokenError) -> dict[str, Any]:
        code = next(code for kind, code in _CODES if isinstance(error, kind))
        if isinstance(error, PinWrongError):
            left = error.left
            return self.problem(request, code, f"還可以試 {left} 次。", f"{left} tries are left.")
        return self.problem(request, code)


_CODES: tuple[tuple[type[Exception], str], ...] = (
    (PukBlockedError, "E5106"),
    (PukWrongError, "E5105"),
    (PinBlockedError, "E5103"),
    (LastTryError, "E5102"),
    (BadPinFormatError, "E5104"),
    (PinWrongError, "E5101"),
    (CardRemovedError, "E4401"),
    (Exception, "E5205"),
)


def frame(site: StationSite, branch: str, bank: BankDetails) -> Mapping[str, Any]:
    """Values that every page needs; the pages of errors are the centre's."""
    return {
        "branch": branch, "branch_name": _named(branch, bank), "bank": bank,
        "who": None, "menu": (), "flow": True, "script": "",
        "is_connected": site.worker.is_connected, "version": site.worker.version,
        "idle_seconds": int(IDLE.total_seconds()),
    }  # fmt: skip


def _named(branch: str, bank: BankDetails) -> str:
    """The branch's code, and its name where it has one."""
    name = bank.branch_name(branch, "zh-TW")
    return branch if name == branch else f"{branch} {name}"
