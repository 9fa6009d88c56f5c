"""The demo's outside systems: carriers, a bank and a CA that fail now and then."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Literal

from renewal.errors import GatewayUnavailableError, GatewayUnsureError
from renewal.gateways.activity_log import ActivityLog
from renewal.gateways.bank.embedded.adapter import EmbeddedBank
from renewal.gateways.ca.embedded.adapter import EmbeddedCa
from renewal.gateways.mail.mailbox import LocalMail
from renewal.gateways.sms.mailbox import (
    LocalSms,
    Outcome,
    SmsAnswerLost,
    SmsRefused,
    SmsReported,
    SmsUnavailable,
)
from renewal.gateways.sms.port import DeliveryReport, Sms
from xuqi.bootstrap import Gateways

if TYPE_CHECKING:
    from pathlib import Path

    from renewal.clock import Clock
    from renewal.gateways.bank.port import Booking
    from renewal.gateways.ca.port import (
        Capabilities,
        IssuanceRequest,
        Issued,
        Status,
    )
    from renewal.keys import Keys
    from schema.events import RevocationReason

SOON = timedelta(seconds=20)


@dataclass
class Faults:
    """
    What goes wrong outside: by the seed and the order of calls, so that a story can be told again.
    """

    seed: int
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(f"faults {self.seed}")  # noqa: S311 - a story, no secret

    def sms(self, sms: Sms) -> Outcome | None:
        if sms.to.startswith("+8862"):
            return SmsRefused(code="21614")  # a landline
        draw = self.chance.random()
        if draw < 0.01:  # noqa: PLR2004
            return SmsUnavailable(retry_after=SOON)
        if draw < 0.02:  # noqa: PLR2004
            return SmsAnswerLost()
        if draw < 0.03:  # noqa: PLR2004
            return SmsReported(report=DeliveryReport.UNDELIVERED, code="30003")
        return None

    def bank(self, _: Booking) -> Literal["unavailable", "lost"] | None:
        draw = self.chance.random()
        if draw < 0.03:  # noqa: PLR2004
            return "unavailable"
        return "lost" if draw < 0.07 else None  # noqa: PLR2004

    def ca(self) -> Literal["unavailable", "lost"] | None:
        draw = self.chance.random()
        if draw < 0.02:  # noqa: PLR2004
            return "unavailable"
        return "lost" if draw < 0.05 else None  # noqa: PLR2004


@dataclass(frozen=True)
class FaultyCa:
    """The embedded CA behind a line that is down now and then, or loses an answer."""

    capabilities: ClassVar[Capabilities] = EmbeddedCa.capabilities

    ca: EmbeddedCa
    faults: Faults

    def issue(self, request: IssuanceRequest) -> Issued:
        fault = self.faults.ca()
        if fault == "unavailable":
            raise GatewayUnavailableError("the CA cannot be reached", retry_after=SOON)
        issued = self.ca.issue(request)
        if fault == "lost":
            raise GatewayUnsureError("the CA's answer was lost")
        return issued

    def issues_as(self, issuer: bytes) -> bool:
        return self.ca.issues_as(issuer)

    def recover(self, request_id: str) -> Issued | None:
        return self.ca.recover(request_id)

    def revoke(self, serial: int, reason: RevocationReason, *, request_id: str) -> None:
        fault = self.faults.ca()
        if fault == "unavailable":
            raise GatewayUnavailableError("the CA cannot be reached", retry_after=SOON)
        self.ca.revoke(serial, reason, request_id=request_id)
        if fault == "lost":
            raise GatewayUnsureError("the CA's answer was lost")

    def suspend(self, serial: int, *, request_id: str) -> None:
        self.ca.suspend(serial, request_id=request_id)

    def resume(self, serial: int, *, request_id: str) -> None:
        self.ca.resume(serial, request_id=request_id)

    def status(self, serial: int) -> Status:
        return self.ca.status(serial)


def open_ca(home: Path, clock: Clock, keys: Keys) -> EmbeddedCa:
    return EmbeddedCa(
        home / "ca", clock, keys.ca, ledger=ActivityLog(home / "outside" / "ca.jsonl", clock)
    )


def open_outside(
    home: Path, clock: Clock, ca: EmbeddedCa, faults: Faults, empty: frozenset[str]
) -> Gateways:
    """The demo's gateways; the accounts in ``empty`` have nothing on them."""
    outside = home / "outside"
    return Gateways(
        sms=LocalSms(outside / "sms.jsonl", clock, outcome=faults.sms),
        mail=LocalMail(outside / "mail.jsonl", clock),
        ca=FaultyCa(ca, faults),
        bank=EmbeddedBank(
            outside / "bank.jsonl",
            clock,
            opening=lambda account: 0 if account in empty else 100_000,
            fault=faults.bank,
        ),
    )


@dataclass
class Tail:
    """Reads what was added to a ledger since the last look."""

    path: Path
    _place: int = 0

    def new(self) -> list[dict[str, object]]:
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(self._place)
            content = file.read()
        whole = content.rfind(b"\n") + 1
        self._place += whole
        return [json.loads(line) for line in content[:whole].splitlines()]


@dataclass
class CaView:
    """What the CA's own ledger says of each certificate, for whoever checks a signature."""

    tail: Tail
    ends: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)
    stopped: dict[str, str] = field(default_factory=dict)

    def why_not(self, serial: str, at: datetime) -> str:
        """
        Why a signature with this certificate is worth nothing at that time, or an empty string.
        """
        self._read()
        if serial not in self.ends:
            return "the CA does not know it"
        not_before, not_after = self.ends[serial]
        if serial in self.stopped:
            return self.stopped[serial]
        if at < not_before:
            return "not yet valid"
        return "expired" if at > not_after else ""

    def _read(self) -> None:
        for line in self.tail.new():
            serial, op = str(line["serial"]), line["op"]
            if op == "issue":
                self.ends[serial] = (
                    datetime.fromisoformat(str(line["not_before"])),
                    datetime.fromisoformat(str(line["not_after"])),
                )
            elif op == "resume":
                self.stopped.pop(serial, None)
            else:
                self.stopped[serial] = "revoked" if op == "revoke" else "suspended"
