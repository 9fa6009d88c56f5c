"""The port to a certification authority."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from schema.events import RevocationReason


@dataclass(frozen=True, kw_only=True)
class IssuanceRequest:
    """What is asked of the CA. The subject comes from our record, never from the request's own."""

    request_id: str  #: begins with the renewal's id; the same id is the same request
    csr: bytes  #: PKCS#10, DER
    common_name: str  #: <ID>-00-<6 digits>
    profile: str  #: the name of a profile file
    not_before: datetime  #: with time zone; a part of a second is cut off
    not_after: datetime  #: with time zone, exact to the second


@dataclass(frozen=True, kw_only=True)
class Issued:
    certificate: bytes  #: X.509, DER


@dataclass(frozen=True, kw_only=True)
class Waiting:
    check_after: datetime


class Status(StrEnum):
    GOOD = "good"
    ON_HOLD = "on hold"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a CA can do beyond issuing and revoking."""

    find: bool  #: look a request up by its id
    replay: bool  #: the same request id again gives the same certificate
    hold: bool  #: suspend and resume
    poll: bool  #: answer later
    confirm: bool  #: wants to hear that the certificate was accepted


class CertificationAuthority(Protocol):
    @property
    def capabilities(self) -> Capabilities: ...

    def issues_as(self, issuer: bytes) -> bool:
        """
        Whether this CA issues under that name; ``issuer``: SHA-256 of the name in DER.

        Certificates of another CA are changed by people, at that CA.
        """
        ...

    def issue(self, request: IssuanceRequest) -> Issued | Waiting:
        """
        Issue once for a request id: asking again with the same id gives the same certificate.

        Raises:
            GatewayUnavailableError: not sent; safe to ask again.
            GatewayRefusedError: rejected, with the CA's reason.
            GatewayUnsureError: outcome unknown; ``recover`` first.
        """
        ...

    def recover(self, request_id: str) -> Issued | Waiting | None:
        """Find out what became of a request; ``None`` if the CA never saw it."""
        ...

    def revoke(self, serial: int, reason: RevocationReason, *, request_id: str) -> None:
        """
        Revoke for good. Revoking what is revoked already is no error and changes nothing.

        Raises:
            GatewayUnavailableError: nothing happened; safe to ask again.
            GatewayRefusedError: no such certificate.
            GatewayUnsureError: outcome unknown; ask ``status``, or again with the same id.
        """
        ...

    def suspend(self, serial: int, *, request_id: str) -> None:
        """
        Put on hold. On hold already is no error.

        A ``request_id`` stands for one suspension: asking late once more, after it was lifted,
        does not suspend again. A new suspension has a new id.

        Raises:
            GatewayRefusedError: no such certificate, or it is revoked for good.
        """
        ...

    def resume(self, serial: int, *, request_id: str) -> None:
        """
        Lift the hold, once for a ``request_id``. Not on hold is no error.

        Raises:
            GatewayRefusedError: no such certificate, or it is revoked for good.
        """
        ...

    def status(self, serial: int) -> Status:
        """
        Return ``UNKNOWN`` for what this CA did not issue.

        Raises:
            GatewayUnavailableError: the CA cannot be asked now.
        """
        ...
