"""Reads the fields of a certificate that an import needs, whoever issued it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from back_office.imports import mistaken
from back_office.imports.customer_row import ID_NUMBER, plain
from renewal.errors import UnreadableError
from renewal.rules import x509
from schema.reasons import FindingReason

if TYPE_CHECKING:
    from datetime import datetime

_MOST_SERIAL = 64  # as many as the column takes; RFC 5280, 4.1.2.2 allows 40


class NoCertificateError(UnreadableError):
    """The bytes are no certificate that can be used."""


class CertificateFields(NamedTuple):
    der: bytes
    sha256: bytes
    issuer_hash: bytes
    serial: str  #: hex, lower case; a negative one with its sign
    spki_sha256: bytes
    not_before: datetime
    not_after: datetime
    id_number: str | None  #: as the subject's common name begins with it


def read_fields(der: bytes) -> CertificateFields:
    """
    Return the facts of a certificate; neither its algorithms nor all of its encoding need be known.

    Raises:
        NoCertificateError
    """
    try:
        certificate = x509.read(der)
    except x509.UnreadableCertificateError as error:
        raise NoCertificateError(mistaken.named(der) or error.reason) from error
    serial = f"{certificate.serial:x}"
    if len(serial) > _MOST_SERIAL:
        raise NoCertificateError(FindingReason.SERIAL_TOO_LONG.why(limit=_MOST_SERIAL))
    return CertificateFields(
        der=der,
        sha256=hashlib.sha256(der).digest(),
        issuer_hash=hashlib.sha256(certificate.issuer).digest(),
        serial=serial,
        spki_sha256=hashlib.sha256(x509.canonical_key(certificate.spki)).digest(),
        not_before=certificate.not_before,
        not_after=certificate.not_after,
        id_number=_id_number(certificate.subject),
    )


def _id_number(subject: bytes) -> str | None:
    """Return the text before the first hyphen of the common name, if it can be an ID number."""
    for name in x509.common_names(subject):
        begins, hyphen, _ = name.partition("-")
        number = plain(begins).upper()
        if hyphen and ID_NUMBER.fullmatch(number):
            return number
    return None
