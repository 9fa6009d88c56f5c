"""Makes the CA when its folder is opened for the first time, and opens it later."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from renewal.gateways.ca import authority, crl, profiles
from renewal.gateways.ca.authority import ISSUING, OCSP_SIGNER, ROOT, Authority

if TYPE_CHECKING:
    from pathlib import Path

    from renewal.store.ca_book import CaBook

_ROOT_CRL: Final = "root.crl"
_SALT: Final = "salt"
_SKEW: Final = timedelta(minutes=5)  #: clocks of those who ask may be behind
_YEAR: Final = timedelta(days=365)


@dataclass(frozen=True, kw_only=True)
class CaSettings:
    key: str = authority.P_256  #: or "RSA-2048"; decided on the first opening
    base_url: str = "http://127.0.0.1:8080"  #: where CRL, OCSP and CA certificates are fetched
    profiles: Path = profiles.FOLDER
    backdated: timedelta = (
        10 * _YEAR
    )  #: a sample bank has certificates from before the CA's first day
    root_lasts: timedelta = 40 * _YEAR
    issuing_lasts: timedelta = 30 * _YEAR
    signer_lasts: timedelta = timedelta(days=90)
    crl_lasts: timedelta = timedelta(hours=24)
    ocsp_lasts: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, kw_only=True)
class Opened:
    root: x509.Certificate
    root_crl: bytes
    issuing: Authority
    password: bytes  #: of the keys in the book


def to_second(moment: datetime) -> datetime:
    """
    Return the moment in UTC without the part of a second that X.509 cannot say.
    """
    return moment.astimezone(UTC).replace(microsecond=0)


def open_authorities(
    book: CaBook, passphrase: bytes, settings: CaSettings, now: datetime
) -> Opened:
    """
    Return the CA of this book; make it if there is none. A kill leaves a whole one or none.

    Raises:
        CaLockedError: wrong or empty passphrase.
    """
    with book.work():
        salt = book.fact(_SALT)
        if salt is None:
            salt = secrets.token_bytes(16)
            book.keep_fact(_SALT, salt)
        password = authority.stretched(passphrase, salt)
        if book.authority(ROOT) is None:
            _make(book, password, settings, to_second(now))
    issuing = _kept(book, ISSUING, password)
    root = book.authority(ROOT)
    root_crl = book.fact(_ROOT_CRL)
    if issuing is None or root is None or root_crl is None:
        raise authority.CaLockedError("the CA's book has lost a part of the CA")
    return Opened(
        root=x509.load_der_x509_certificate(root[0]),
        root_crl=root_crl,
        issuing=issuing,
        password=password,
    )


def open_signer(book: CaBook, opened: Opened, settings: CaSettings, now: datetime) -> Authority:
    """
    Return a responder certificate with at least a third of its life before it.
    """
    kept = _kept(book, OCSP_SIGNER, opened.password)
    if kept is not None and is_fresh(kept.certificate, now):
        return kept
    with book.work():
        kept = _kept(book, OCSP_SIGNER, opened.password)
        if kept is not None and is_fresh(kept.certificate, now):
            return kept
        begin = to_second(now) - _SKEW
        end = min(begin + settings.signer_lasts, opened.issuing.certificate.not_valid_after_utc)
        key = authority.new_key(settings.key)
        signer = authority.ocsp_signer(key, begin, end, opened.issuing)
        _keep(book, OCSP_SIGNER, signer, opened.password)
    return signer


def is_fresh(certificate: x509.Certificate, now: datetime) -> bool:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return begin <= now <= end - (end - begin) / 3


def _make(book: CaBook, password: bytes, settings: CaSettings, now: datetime) -> None:
    begin = now - settings.backdated
    root = authority.root(authority.new_key(settings.key), begin, now + settings.root_lasts)
    end = now + settings.issuing_lasts
    issuing = authority.issuing(
        authority.new_key(settings.key), begin, end, settings.base_url, root
    )
    _keep(book, ROOT, root, password)
    _keep(book, ISSUING, issuing, password)
    # The root signs one list, for the life of the issuing CA, and rests.
    book.keep_fact(_ROOT_CRL, crl.build(root, [], number=1, this_update=now, next_update=end))


def _kept(book: CaBook, role: str, password: bytes) -> Authority | None:
    kept = book.authority(role)
    if kept is None:
        return None
    certificate, key = kept
    return Authority(x509.load_der_x509_certificate(certificate), authority.unlocked(key, password))


def _keep(book: CaBook, role: str, made: Authority, password: bytes) -> None:
    book.keep_authority(
        role, made.certificate.public_bytes(Encoding.DER), authority.locked(made.key, password)
    )
