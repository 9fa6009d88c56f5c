"""A CA that costs no time, for benchmarks."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING, ClassVar, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from renewal.errors import GatewayRefusedError
from renewal.gateways.ca.embedded import admission, der, profiles
from renewal.gateways.ca.embedded.authority import new_serial
from renewal.gateways.ca.embedded.to_be_signed import Issuer, Template
from renewal.gateways.ca.port import Capabilities, IssuanceRequest, Issued, Status
from renewal.rules.csr import SubjectKey

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from schema.events import RevocationReason

_ISSUER_NAME: Final = x509.Name(
    [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "TW"),
        x509.NameAttribute(NameOID.COMMON_NAME, "Null CA, for benchmarks only"),
    ]
)
_ALGORITHM: Final = der.sequence(der.oid("1.2.840.10045.4.3.2"))
#: Two numbers, as ECDSA has them; no key made them and none verifies them.
_SIGNATURE: Final = der.bits(der.sequence(der.integer(1 << 254), der.integer(1 << 253)))


class NullCa:
    """
    Keeps what it was given and answers with certificates that read like real ones.

    For benchmarks only: nothing is signed, nothing is checked, nothing outlives the process.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        find=True, replay=True, hold=True, poll=False, confirm=False
    )

    def __init__(self, base_url: str = "http://127.0.0.1:8080") -> None:
        issuer = Issuer(
            name=_ISSUER_NAME.public_bytes(), key_identifier=bytes(20), algorithm=_ALGORITHM
        )
        self._profiles = profiles.load()
        self._templates = {
            name: Template(profile, issuer, base_url) for name, profile in self._profiles.items()
        }
        self._lock = threading.Lock()
        self.requests: dict[str, IssuanceRequest] = {}
        self.issued: dict[str, Issued] = {}
        self.states: dict[int, Status] = {}
        self.changes: list[tuple[str, int, RevocationReason | None, str]] = []

    def issues_as(self, issuer: bytes) -> bool:
        return hashlib.sha256(_ISSUER_NAME.public_bytes()).digest() == issuer

    def issue(self, request: IssuanceRequest) -> Issued:
        with self._lock:
            before = self.issued.get(request.request_id)
            if before is None:
                before = self._made(request)
            elif self.requests[request.request_id] != request:
                raise GatewayRefusedError(
                    f"{request.request_id} was asked before, for something else",
                    code="duplicateCertReq",
                )
            return before

    def issue_many(self, requests: Sequence[IssuanceRequest]) -> list[Issued | GatewayRefusedError]:
        return [self.issue(request) for request in requests]

    def recover(self, request_id: str) -> Issued | None:
        return self.issued.get(request_id)

    def revoke(self, serial: int, reason: RevocationReason, *, request_id: str) -> None:
        self._change("revoke", serial, Status.REVOKED, reason, request_id)

    def suspend(self, serial: int, *, request_id: str) -> None:
        self._change("suspend", serial, Status.ON_HOLD, None, request_id)

    def resume(self, serial: int, *, request_id: str) -> None:
        self._change("resume", serial, Status.GOOD, None, request_id)

    def status(self, serial: int) -> Status:
        return self.states.get(serial, Status.UNKNOWN)

    def _made(self, request: IssuanceRequest) -> Issued:
        serial = new_serial()
        begin, end = admission.validity(request.not_before, request.not_after)
        to_be_signed = self._fill(request, serial, begin, end)
        issued = Issued(certificate=der.sequence(to_be_signed, _ALGORITHM, _SIGNATURE))
        self.requests[request.request_id] = request
        self.issued[request.request_id] = issued
        self.states[serial] = Status.GOOD
        return issued

    def _fill(self, request: IssuanceRequest, serial: int, begin: datetime, end: datetime) -> bytes:
        return self._templates[request.profile].fill(
            serial=serial,
            subject=self._profiles[request.profile].name(request.common_name),
            not_before=begin,
            not_after=end,
            key=_key_of(request.csr),
        )

    def _change(
        self, op: str, serial: int, target: Status, reason: RevocationReason | None, request_id: str
    ) -> None:
        with self._lock:
            now = self.states.get(serial)
            if now is None:
                raise GatewayRefusedError(f"no certificate {serial:x}", code="badCertId")
            if now == target:
                return
            if now == Status.REVOKED:
                raise GatewayRefusedError(f"{serial:x} is revoked for good", code="certRevoked")
            self.states[serial] = target
            self.changes.append((op, serial, reason, request_id))


def _key_of(csr: bytes) -> SubjectKey:
    """Return the request's key without asking for proof that it is held."""
    key = x509.load_der_x509_csr(csr).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digest = hashlib.sha256(spki)
    return SubjectKey(
        algorithm="any", spki=spki, sha256=digest.hexdigest(), identifier=digest.digest()[:20]
    )
