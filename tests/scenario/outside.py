"""The systems outside: carriers, CA and bank that do what they should until a test says else."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from renewal.errors import GatewayRefusedError, GatewayUnavailableError, GatewayUnsureError
from renewal.gateways.activity_log import ActivityLog
from renewal.gateways.bank.embedded.adapter import EmbeddedBank
from renewal.gateways.ca.embedded.adapter import EmbeddedCa
from renewal.gateways.ca.port import Capabilities, IssuanceRequest, Issued, Status
from renewal.gateways.mail.mailbox import LocalMail
from renewal.gateways.sms.mailbox import LocalSms
from xuqi.bootstrap import LazyGateways

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from renewal.clock import Clock
    from renewal.gateways.bank.port import Booking
    from renewal.gateways.mail.mailbox import Outcome as MailOutcome
    from renewal.gateways.mail.port import Mail
    from renewal.gateways.sms.mailbox import Outcome as SmsOutcome
    from renewal.gateways.sms.port import Sms
    from renewal.secret import Secret
    from schema.events import RevocationReason

OPENING_BALANCE = 100_000


@dataclass
class Weather:
    """What goes wrong outside. Each field is asked at each call; ``None``: nothing."""

    #: unavailable (not done) | lost (done, and nobody heard of it) | refused
    bank: Callable[[Booking], Any] = lambda _booking: None
    #: as for the bank; by the operation: issue | revoke | suspend | resume
    ca: Callable[[str, str], str | None] = lambda _op, _request_id: None
    sms: Callable[[Sms], SmsOutcome | None] = lambda _sms: None
    mail: Callable[[Mail], MailOutcome | None] = lambda _mail: None
    #: what the CA answers instead of the certificate that it has issued
    forged: Callable[[IssuanceRequest, bytes], bytes] = lambda _request, der: der


def opening_balance(account: str) -> int:
    return 0 if account.startswith("empty") else OPENING_BALANCE


@dataclass(frozen=True, kw_only=True)
class Outside:
    """Opens each system on first use, with its ledger in the folder, in this weather."""

    home: Path
    clock: Clock
    ca_key: Secret
    weather: Weather
    closing: Callable[[Callable[[], object]], object]  #: is told what to call in the end

    def gateways(self) -> LazyGateways:
        return LazyGateways(sms=self.sms, mail=self.mail, ca=self.ca, bank=self.bank)

    def sms(self) -> LocalSms:
        weather = self.weather
        gateway = LocalSms(
            self._ledger("sms"),
            self.clock,
            outcome=lambda sms: weather.sms(sms),  # noqa: PLW0108 - the weather changes
        )
        self.closing(gateway.close)
        return gateway

    def mail(self) -> LocalMail:
        weather = self.weather
        gateway = LocalMail(
            self._ledger("mail"),
            self.clock,
            outcome=lambda mail: weather.mail(mail),  # noqa: PLW0108 - the weather changes
        )
        self.closing(gateway.close)
        return gateway

    def bank(self) -> EmbeddedBank:
        weather = self.weather
        gateway = EmbeddedBank(
            self._ledger("bank"),
            self.clock,
            opening=opening_balance,
            fault=lambda booking: weather.bank(booking),  # noqa: PLW0108 - the weather changes
        )
        self.closing(gateway.close)
        return gateway

    def ca(self) -> CaInWeather:
        return CaInWeather(self._embedded_ca, self.weather)

    def _embedded_ca(self) -> EmbeddedCa:
        ledger = ActivityLog(self._ledger("ca"), self.clock)
        ca = EmbeddedCa(self.home / "ca", self.clock, self.ca_key, ledger=ledger)
        self.closing(ca.close)
        return ca

    def _ledger(self, name: str) -> Path:
        return self.home / "outside" / f"{name}.jsonl"


@dataclass
class CaInWeather:
    """
    The embedded CA behind a line that is down, loses answers or changes them.

    It is opened by its first call: the password of its keys takes a twentieth of a second.
    """

    capabilities: ClassVar[Capabilities] = EmbeddedCa.capabilities

    open: Callable[[], EmbeddedCa]
    weather: Weather

    @cached_property
    def ca(self) -> EmbeddedCa:
        return self.open()

    def issue(self, request: IssuanceRequest) -> Issued:
        fault = self._before("issue", request.request_id)
        issued = self.ca.issue(request)
        self._after(fault)
        return Issued(certificate=self.weather.forged(request, issued.certificate))

    def issues_as(self, issuer: bytes) -> bool:
        return self.ca.issues_as(issuer)

    def recover(self, request_id: str) -> Issued | None:
        return self.ca.recover(request_id)

    def revoke(self, serial: int, reason: RevocationReason, *, request_id: str) -> None:
        fault = self._before("revoke", request_id)
        self.ca.revoke(serial, reason, request_id=request_id)
        self._after(fault)

    def suspend(self, serial: int, *, request_id: str) -> None:
        fault = self._before("suspend", request_id)
        self.ca.suspend(serial, request_id=request_id)
        self._after(fault)

    def resume(self, serial: int, *, request_id: str) -> None:
        fault = self._before("resume", request_id)
        self.ca.resume(serial, request_id=request_id)
        self._after(fault)

    def status(self, serial: int) -> Status:
        return self.ca.status(serial)

    def _before(self, op: str, request_id: str) -> str | None:
        fault = self.weather.ca(op, request_id)
        if fault == "unavailable":
            raise GatewayUnavailableError("the CA cannot be reached")
        if fault == "refused":
            raise GatewayRefusedError("the CA does not want to", code="badAlg")
        return fault

    def _after(self, fault: str | None) -> None:
        if fault == "lost":
            raise GatewayUnsureError("the CA's answer was lost")
