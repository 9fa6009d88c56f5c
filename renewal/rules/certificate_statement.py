"""Puts the newest of several certificates into what its statement (憑證證明單) says."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509

from renewal.rules import mask

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

PAIR = 2  #: hex digits of a serial number that stand together
CHECK_CODE = 12  #: characters


@dataclass(frozen=True, kw_only=True)
class Statement:
    """
    ``state``: valid, ended or to come by the dates alone, for a token knows of no revocation; or
    what the books say, suspended or revoked.
    """

    number: str
    subject: tuple[str, ...]
    issuer: tuple[str, ...]
    valid_from: datetime
    valid_to: datetime
    state: str

    @property
    def check_code(self) -> str:
        """Twelve characters that change with anything the statement says."""
        digest = hashlib.sha256(repr(self).encode()).hexdigest()[:CHECK_CODE].upper()
        return "-".join(digest[at : at + 4] for at in range(0, CHECK_CODE, 4))


def statement(certificates: Sequence[bytes], now: datetime, *, known: str = "") -> Statement | None:
    """
    Of the certificate that is valid longest; ``None``: there is none. ``known``: its state where
    somebody knows more than its dates.
    """
    read = [x509.load_der_x509_certificate(der) for der in certificates]
    if not read:
        return None
    newest = max(read, key=lambda one: one.not_valid_after_utc)
    return Statement(
        number=_pairs(newest.serial_number),
        subject=tuple(map(_masked, _lines(newest.subject))),
        issuer=_lines(newest.issuer),
        valid_from=newest.not_valid_before_utc,
        valid_to=newest.not_valid_after_utc,
        state=known or _state(newest, now),
    )


def _state(certificate: x509.Certificate, now: datetime) -> str:
    if now > certificate.not_valid_after_utc:
        return "ended"
    return "to come" if now < certificate.not_valid_before_utc else "valid"


def _pairs(number: int) -> str:
    digits = f"{number:X}"
    digits = digits.zfill(len(digits) + len(digits) % PAIR)
    return " ".join(digits[at : at + PAIR] for at in range(0, len(digits), PAIR))


def _masked(line: str) -> str:
    """A common name begins with the holder's identity number, which is not shown whole."""
    kind, equals, value = line.partition("=")
    return f"{kind}{equals}{mask.common_name(value)}" if kind == "CN" else line


def _lines(name: x509.Name) -> tuple[str, ...]:
    return tuple(one.rfc4514_string() for one in name)
