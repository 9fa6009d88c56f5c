"""Changes the state of issued certificates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from renewal.errors import GatewayRefusedError
from renewal.gateways.ca.embedded import crl
from renewal.gateways.ca.port import Status

if TYPE_CHECKING:
    from renewal.clock import Clock
    from renewal.gateways.ca.embedded.database import CaDatabase, CaEntry
    from renewal.gateways.ca.embedded.history import CaHistory

HOLD: Final = "certificateHold"


@dataclass(frozen=True)
class CertificateStates:
    """good ⇄ on hold → revoked, and never back from there (RFC 5280, 5.3.1)."""

    book: CaDatabase
    history: CaHistory
    clock: Clock

    def now_of(self, serial: int) -> Status:
        entry = self._issued(serial)
        return Status.UNKNOWN if entry is None else Status(entry.state)

    def change(
        self, op: str, serial: int, target: Status, reason: str | None, *, request_id: str
    ) -> None:
        """
        Bring a certificate into a state, once for a request id.

        Raises:
            GatewayRefusedError: no such certificate, revoked for good, or an id that was used
                for another certificate.
        """
        with self.book.work():
            entry = self._known(serial)
            if not self._is_done(op, entry, request_id) and _must_change(entry, target):
                self._write(op, entry, target, reason, request_id)
        self.history.tell()

    def _write(
        self, op: str, entry: CaEntry, target: Status, reason: str | None, request_id: str
    ) -> None:
        at = self.clock.now()
        self.book.change(
            entry.serial,
            state=target,
            at=at.isoformat(),
            reason=reason,
            crl_entry=crl.entry(int(entry.serial, 16), at, reason) if reason else None,
        )
        self.history.remember(op, entry, at, request_id=request_id, reason=reason)

    def _issued(self, serial: int) -> CaEntry | None:
        entry = self.book.by_serial(f"{serial:x}")
        # What is reserved and not signed yet is no certificate.
        return None if entry is None or entry.certificate is None else entry

    def _known(self, serial: int) -> CaEntry:
        entry = self._issued(serial)
        if entry is None:
            raise GatewayRefusedError(f"no certificate {serial:x}", code="badCertId")
        return entry

    def _is_done(self, op: str, entry: CaEntry, request_id: str) -> bool:
        done = self.book.deed_serial(op, request_id)
        if done not in (None, entry.serial):
            raise GatewayRefusedError(
                f"{request_id}: used before to {op} another certificate", code="badRequest"
            )
        return done is not None


def _must_change(entry: CaEntry, target: Status) -> bool:
    if entry.state == target:
        return False
    if entry.state == Status.REVOKED:
        raise GatewayRefusedError(
            f"the certificate {entry.serial} is revoked for good", code="certRevoked"
        )
    return True
