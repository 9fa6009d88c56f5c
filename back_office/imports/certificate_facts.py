"""Reads what a certificate says that an import needs, whoever made it."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.x509.oid import NameOID

from back_office.imports import der as walk
from back_office.imports.customer_row import ID_NUMBER, plain

if TYPE_CHECKING:
    from datetime import datetime

_MOST_SERIAL = 64  # as many as the column takes; RFC 5280, 4.1.2.2 allows 40


class NoCertificateError(ValueError):
    """
    The bytes are no certificate that can be used; the text says why.
    """


class Facts(NamedTuple):
    der: bytes
    sha256: bytes
    issuer_hash: bytes
    serial: str  #: hex, lower case; a negative one with its sign
    spki_sha256: bytes
    not_before: datetime
    not_after: datetime
    id_number: str | None  #: as the subject's common name begins with it


def read_facts(der: bytes) -> Facts:
    """
    Return the facts of a certificate in DER; its algorithms need not be known.

    Raises:
        NoCertificateError
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        not_before, not_after = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        serial = f"{certificate.serial_number:x}"
    except x509.InvalidVersion as error:
        raise NoCertificateError("is of a version of X.509 that there is not") from error
    except (ValueError, TypeError) as error:
        raise NoCertificateError("is no X.509 certificate") from error
    if len(serial) > _MOST_SERIAL:
        raise NoCertificateError(f"has a serial of more than {_MOST_SERIAL} hex digits")
    issuer, key = _issuer_and_key(der)
    return Facts(
        der=der,
        sha256=hashlib.sha256(der).digest(),
        issuer_hash=hashlib.sha256(issuer).digest(),
        serial=serial,
        spki_sha256=hashlib.sha256(key).digest(),
        not_before=not_before,
        not_after=not_after,
        id_number=_id_number(certificate),
    )


def _issuer_and_key(der: bytes) -> tuple[bytes, bytes]:
    """
    Return both as they stand in the certificate: their encodings, not ours, are what is signed.
    """
    file, size = io.BytesIO(der), len(der)
    tbs = walk.element(file, walk.element(file, 0, size).content, size)
    fields = list(walk.elements(file, tbs.content, tbs.end))
    first = 1 if fields[0].tag == walk.CONTEXT_0 else 0  # RFC 5280, 4.1: version [0] DEFAULT v1
    issuer, key = fields[first + 2], fields[first + 5]
    return der[issuer.start : issuer.end], der[key.start : key.end]


def _id_number(certificate: x509.Certificate) -> str | None:
    """
    Return the text before the first hyphen of the common name, if it can be an ID number.
    """
    try:
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except ValueError:  # a subject beyond RFC 5280: it still is a certificate
        return None
    for name in names:
        begins, hyphen, _ = name.value.partition("-") if isinstance(name.value, str) else ("",) * 3
        number = plain(begins).upper()
        if hyphen and ID_NUMBER.fullmatch(number):
            return number
    return None
