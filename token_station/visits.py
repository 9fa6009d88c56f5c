"""Token maintenance beside a renewal: inspect, change the PIN, unblock."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from renewal.rules import mask
from token_station.errors import CardRemovedError, PukBlockedError, PukWrongError, TokenError
from token_station.tokens import open_token

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from token_station.port import OpensTokens, TokenReader, TokenSession
    from token_station.station import Station


@dataclass(frozen=True, kw_only=True)
class CertificateOnToken:
    slot: str
    name: str  #: masked
    number: str
    algorithm: str
    valid_from: datetime
    valid_to: datetime


@dataclass(frozen=True, kw_only=True)
class TokenContent:
    serial: str
    kind: str
    reader: str
    tries_left: int | None
    certificates: tuple[CertificateOnToken, ...]


@contextmanager
def visited(
    station: Station, serial: str
) -> Iterator[tuple[TokenReader | OpensTokens, TokenSession]]:
    """
    A session with the token of that serial, in whichever reader it is, and nobody else's.

    Raises:
        CardRemovedError: it is in no reader.
    """
    for reader in station.readers:
        with station.held(reader):
            session = _session(station, reader)
            if session is not None and session.serial == serial:
                yield reader, session
                return
    raise CardRemovedError(f"token {serial} is in no reader")


def content(station: Station, serial: str) -> TokenContent:
    with visited(station, serial) as (reader, session):
        info = session.info()
        return TokenContent(
            serial=serial,
            kind=info.kind,
            reader=reader.name,
            tries_left=info.tries_left,
            certificates=tuple(_on_token(one.key_slot, one.der) for one in session.certificates()),
        )


def change_pin(
    station: Station, serial: str, old: str, new: str, *, last_try_released: bool
) -> None:
    """
    Raises:
        PinWrongError, PinBlockedError, LastTryError, BadPinFormatError, CardRemovedError
    """
    with visited(station, serial) as (_, session):
        session.change_pin(old, new, last_try_released=last_try_released)


def unblock(station: Station, serial: str, puk: str, new: str, *, last_try_released: bool) -> None:
    """
    Set a new PIN by the unblocking code, which is tried once, and the last time only if released.

    Raises:
        PukWrongError, PukBlockedError, LastTryError, BadPinFormatError, CardRemovedError
    """
    with visited(station, serial) as (_, session):
        session.remember_puk_tries(puk_left(station, serial))
        try:
            session.unblock_pin(puk, new, last_try_released=last_try_released)
        except PukWrongError as error:
            _note_puk(station, serial, error.left)
            raise
        except PukBlockedError:
            _note_puk(station, serial, 0)
            raise
    _note_puk(station, serial, None)


def puk_left(station: Station, serial: str) -> int | None:
    """Return the tries that the unblocking code has left; ``None``: no wrong one was given here."""
    return station.puk_tries.left(serial) if station.puk_tries else None


def _note_puk(station: Station, serial: str, left: int | None) -> None:
    if station.puk_tries:
        station.puk_tries.note(serial, left)


def _session(station: Station, reader: TokenReader | OpensTokens) -> TokenSession | None:
    try:
        return open_token(reader, station.write_keys)
    except TokenError:  # empty, or something that is not ours
        return None


def _on_token(slot: str, der: bytes) -> CertificateOnToken:
    found = x509.load_der_x509_certificate(der)
    names = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    is_ec = isinstance(found.public_key(), ec.EllipticCurvePublicKey)
    return CertificateOnToken(
        slot=slot,
        name=mask.common_name(str(names[0].value)) if names else "",
        number=f"{found.serial_number:x}",
        algorithm="P-256" if is_ec else "RSA-2048",
        valid_from=found.not_valid_before_utc,
        valid_to=found.not_valid_after_utc,
    )
