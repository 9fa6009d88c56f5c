"""A process that uses the CA and is killed at one step; run by the tests of its power cuts."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from renewal.clock import VirtualClock
from renewal.gateways.activity_log import ActivityLog
from renewal.gateways.ca.embedded import outside
from renewal.gateways.ca.embedded.adapter import EmbeddedCa
from renewal.gateways.ca.embedded.issuance import CaIssuance, Reserved
from renewal.gateways.ca.port import IssuanceRequest
from schema.events import RevocationReason
from tests.renewal.gateways.ca.asking import END, LEDGER, PASSPHRASE, START

if TYPE_CHECKING:
    from renewal.gateways.ca.embedded.database import CaDatabase, CaEntry


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DyingLedger(ActivityLog):
    step = ""

    def append(self, *, at: str | None = None, **deed: object) -> None:
        if self.step == "before the line":
            die()
        super().append(at=at, **deed)
        if self.step == "after the line":
            die()


class DyingIssuance(CaIssuance):
    step = ""

    def reserve(self, drafts: Reserved) -> Reserved:
        if self.step == "before reserving":
            die()
        with self._book.work():
            reserved = super().reserve(drafts)
            if self.step == "while reserving":
                die()
        if self.step == "after reserving":
            die()
        return reserved

    def sign(self, entry: CaEntry) -> bytes:
        signed = super().sign(entry)
        if self.step == "after signing":
            die()
        return signed

    def keep(self, entries: list[CaEntry], signed: dict[str, bytes]) -> None:
        with self._book.work():
            super().keep(entries, signed)
            if self.step == "while keeping":
                die()


def tell_and_die(book: CaDatabase, ledger: ActivityLog) -> None:
    _tell(book, ledger)
    die()


_tell = outside.tell


def main(folder: Path, op: str, step: str, csr: bytes, serial: str) -> None:
    clock = VirtualClock(START)
    ledger = DyingLedger(folder / LEDGER, clock)
    ca = EmbeddedCa(folder / "ca", clock, PASSPHRASE, ledger=ledger)
    whole = ca._issuance
    dying = DyingIssuance(whole._book, whole._drafts, whole._issuing, whole._history, clock)
    ca._issuance = dying
    dying.step = ledger.step = step
    if step == "after telling":
        outside.tell = tell_and_die
    if op == "issue":
        ca.issue(
            IssuanceRequest(
                request_id="renewal-0",
                csr=csr,
                common_name="J220230000-00-000000",
                profile="signing",
                not_before=START,
                not_after=END,
            )
        )
    else:
        ca.revoke(int(serial, 16), RevocationReason.SUPERSEDED, request_id="revocation-0")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], bytes.fromhex(sys.argv[4]), sys.argv[5])
