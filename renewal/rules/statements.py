"""Signs what a station says, and judges it: whose it is, of which branch, token and moment."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from renewal.errors import ReasonedError
from renewal.rules import serials
from schema.codec import encode
from schema.events import TokenEvent
from schema.reasons import StatementReason

if TYPE_CHECKING:
    from datetime import datetime

#: Says what is signed, so that no signature made for anything else is one for this.
CONTEXT: Final = b"xuqi station statement v2\0"
#: A station's clock may be so far ahead of ours.
SKEW: Final = timedelta(minutes=5)
PUBLIC_BYTES: Final = 32
_NUMBER: Final = 16  #: hex digits

Statement = TypeVar("Statement", bound=TokenEvent)


class FalseStatementError(ReasonedError):
    """What the station is said to have said is not what it has signed."""


@dataclass(frozen=True)
class StationIdentity:
    """
    One station's own key, which never leaves it.
    """

    branch: str
    private: Ed25519PrivateKey

    def __repr__(self) -> str:
        return f"StationIdentity({self.branch!r}, {self.number!r})"

    @property
    def public(self) -> bytes:
        return self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def number(self) -> str:
        return number_of(self.public)

    def signed(self, event: Statement, *, at: datetime) -> Statement:
        """
        Return the event as this station says it. The same moment gives the same signature, so that
        what is said again is one fact.
        """
        fields = {"branch": self.branch, "station": self.number, "said_at": at}
        bound: Statement = msgspec.structs.replace(event, **fields, station_signature="")
        signature = self.private.sign(_to_be_signed(bound))
        return msgspec.structs.replace(
            bound, station_signature=base64.b64encode(signature).decode()
        )


def number_of(public: bytes) -> str:
    """
    The name of a station's key.
    """
    return hashlib.sha256(public).hexdigest()[:_NUMBER]


def verify(event: TokenEvent, public: bytes) -> None:
    """
    Check that the key has signed the event, every field of it.

    Raises:
        FalseStatementError
    """
    try:
        signature = base64.b64decode(event.station_signature, validate=True)
        unsigned = msgspec.structs.replace(event, station_signature="")
        Ed25519PublicKey.from_public_bytes(public).verify(signature, _to_be_signed(unsigned))
    except (InvalidSignature, binascii.Error, ValueError) as error:
        raise FalseStatementError(StatementReason.SIGNATURE) from error


def check_bound(
    event: TokenEvent,
    *,
    branch: str | None,
    token_serial: str | None,
    requested_at: datetime,
    now: datetime,
) -> None:
    """
    Check that the statement is about this renewal's branch and token, and of its time.

    Raises:
        FalseStatementError
    """
    if event.branch != branch:
        raise FalseStatementError(StatementReason.NOT_AT_BRANCH)
    if serials.token_serial(event.token_serial) != serials.token_serial(token_serial or ""):
        raise FalseStatementError(StatementReason.OTHER_TOKEN)
    if event.said_at is None or not requested_at - SKEW <= event.said_at <= now + SKEW:
        raise FalseStatementError(StatementReason.OTHER_TIME)


def _to_be_signed(event: TokenEvent) -> bytes:
    return CONTEXT + encode(event)
