"""Creates the CA when its folder is first opened, and opens it afterwards."""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from renewal.gateways.ca.embedded import authority, crl, profiles
from renewal.gateways.ca.embedded.authority import ISSUING, OCSP_SIGNER, ROOT, Authority
from renewal.gateways.ca.embedded.name import UNNAMED, CaName

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from renewal.gateways.ca.embedded.authority import PrivateKey
    from renewal.gateways.ca.embedded.database import CaDatabase
    from renewal.gateways.ca.embedded.profiles import Profile

_ROOT_CRL: Final = "root.crl"
_SALT: Final = "salt"
#: A verifier's clock may be so far behind ours: what begins this very second is not valid yet for
#: it (OpenSSL allows 300 s for OCSP alone).
SKEW: Final = timedelta(minutes=5)
_YEAR: Final = timedelta(days=365)


@dataclass(frozen=True, kw_only=True)
class CaSettings:
    key: str = authority.P_256  #: or "RSA-2048"; decided on the first opening
    base_url: str = "http://127.0.0.1:8080"  #: where CRL, OCSP and CA certificates are fetched
    profiles: Path = profiles.FOLDER
    name: CaName = UNNAMED
    own_profiles: Path | None = None  #: a bank's own, which go before those
    backdated: timedelta = (
        10 * _YEAR
    )  #: a sample bank has certificates from before the CA's first day
    root_lasts: timedelta = 40 * _YEAR
    issuing_lasts: timedelta = 30 * _YEAR
    signer_lasts: timedelta = timedelta(days=90)
    #: of the root's list of revoked issuing CAs, which is signed anew when a third of it is left
    root_crl_lasts: timedelta = _YEAR
    crl_lasts: timedelta = timedelta(hours=24)
    ocsp_lasts: timedelta = timedelta(minutes=10)

    def known_profiles(self) -> Mapping[str, Profile]:
        """
        Raises:
            ProfileError
        """
        own = self.own_profiles
        more = profiles.load(own) if own is not None and own.is_dir() else {}
        return {**profiles.load(self.profiles), **more}


@dataclass(frozen=True, kw_only=True)
class Opened:
    root: x509.Certificate
    root_crl: bytes
    issuing: Authority
    password: bytes  #: of the keys in the database
    passphrase: bytes  #: from which it follows
    others: tuple[bytes, ...] = ()  #: passphrases: before this one, or after it


def to_second(moment: datetime) -> datetime:
    """Return the moment in UTC without the part of a second that X.509 cannot say."""
    return moment.astimezone(UTC).replace(microsecond=0)


def open_authorities(
    database: CaDatabase, passphrases: Sequence[bytes], settings: CaSettings, now: datetime
) -> Opened:
    """
    Return the CA of this database; make it if there is none. A kill leaves a whole one or none.

    The first passphrase that opens it is taken; a new CA gets the first.

    Raises:
        CaLockedError: wrong or empty passphrase.
    """
    with database.work():
        salt = database.fact(_SALT)
        if salt is None:
            salt = secrets.token_bytes(16)
            database.keep_fact(_SALT, salt)
        if database.authority(ROOT) is None:
            password = authority.stretched(passphrases[0], salt)
            _make(database, password, settings, to_second(now))
    passphrase, password, issuing = _opened_with(database, passphrases, salt)
    root = database.authority(ROOT)
    root_crl = database.fact(_ROOT_CRL)
    if issuing is None or root is None or root_crl is None:
        raise authority.CaLockedError("the CA's database has lost a part of the CA")
    return Opened(
        root=x509.load_der_x509_certificate(root[0]),
        root_crl=root_crl,
        issuing=issuing,
        password=password,
        passphrase=passphrase,
        others=tuple(one for one in passphrases if one != passphrase),
    )


def _opened_with(
    database: CaDatabase, passphrases: Sequence[bytes], salt: bytes
) -> tuple[bytes, bytes, Authority | None]:
    """
    Raises:
        CaLockedError: none of them opens it.
    """
    *first, last = passphrases
    for passphrase in first:
        password = authority.stretched(passphrase, salt)
        with suppress(authority.CaLockedError):
            return passphrase, password, _kept(database, ISSUING, password)
    password = authority.stretched(last, salt)
    return last, password, _kept(database, ISSUING, password)


def change_passphrase(database: CaDatabase, opened: Opened, passphrase: bytes) -> Opened:
    """
    Encrypt every key that is here under another passphrase: all of them, or none after a kill.
    """
    with database.work():
        salt = database.fact(_SALT) or b""
        password = authority.stretched(passphrase, salt)
        for role in (ROOT, ISSUING):
            kept = database.authority(role)
            if kept is not None and kept[1]:  # the root's may be kept elsewhere
                key = authority.unlocked(kept[1], opened.password)
                database.keep_authority(role, kept[0], authority.locked(key, password))
    others = (opened.passphrase, *(one for one in opened.others if one != passphrase))
    return replace(opened, password=password, passphrase=passphrase, others=others)


def open_signer(
    database: CaDatabase, opened: Opened, settings: CaSettings, now: datetime
) -> Authority:
    """Return a responder certificate with at least a third of its life before it."""
    kept = _signer(database, opened)
    if kept is not None and is_fresh(kept.certificate, now):
        return kept
    with database.work():
        kept = _signer(database, opened)
        if kept is not None and is_fresh(kept.certificate, now):
            return kept
        begin = to_second(now) - SKEW
        end = min(begin + settings.signer_lasts, opened.issuing.certificate.not_valid_after_utc)
        key = authority.new_key(settings.key)
        signer = authority.ocsp_signer(key, begin, end, opened.issuing, called=settings.name)
        _keep(database, OCSP_SIGNER, signer, opened.password)
    return signer


def _signer(database: CaDatabase, opened: Opened) -> Authority | None:
    """One that a process with another passphrase has made is replaced: it has no other worth."""
    try:
        return _kept(database, OCSP_SIGNER, opened.password)
    except authority.CaLockedError:
        return None


def is_fresh(certificate: x509.Certificate, now: datetime) -> bool:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return begin <= now <= end - (end - begin) / 3


def _make(database: CaDatabase, password: bytes, settings: CaSettings, now: datetime) -> None:
    begin = now - settings.backdated
    key = authority.new_key(settings.key)
    root = authority.root(key, begin, now + settings.root_lasts, called=settings.name)
    end = now + settings.issuing_lasts
    issuing = authority.issuing(
        authority.new_key(settings.key), begin, end, settings.base_url, root, called=settings.name
    )
    _keep(database, ROOT, root, password)
    _keep(database, ISSUING, issuing, password)
    _keep_root_crl(database, root, settings, number=1, now=now)


def current_root_crl(
    database: CaDatabase, opened: Opened, settings: CaSettings, now: datetime
) -> bytes:
    """
    Return the root's list; sign a new one when a third of its life is left and the root's key is
    here. Where it is kept elsewhere, the list that was brought from there (``take_root_crl``).
    """
    kept = database.fact(_ROOT_CRL)
    if kept is None:
        raise authority.CaLockedError("the CA's database has lost a part of the CA")
    if _lasts(kept, now) or not has_root_key(database):
        return kept
    with database.work():
        kept = database.fact(_ROOT_CRL) or kept
        if _lasts(kept, now):
            return kept
        try:
            root = _kept(database, ROOT, opened.password)
        except authority.CaLockedError:
            root = None  # its passphrase was changed: a process with the new one signs it
        if root is None:
            return kept
        number = crl_number(kept) + 1
        return _keep_root_crl(database, root, settings, number=number, now=to_second(now))


def has_root_key(database: CaDatabase) -> bool:
    kept = database.authority(ROOT)
    return kept is not None and bool(kept[1])


def crl_number(der: bytes) -> int:
    list_ = x509.load_der_x509_crl(der)
    return list_.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def root_key(database: CaDatabase) -> bytes:
    """
    The root's key as it is kept: encrypted PKCS#8 in PEM.

    Raises:
        CaLockedError: it is not here any more.
    """
    kept = database.authority(ROOT)
    if kept is None or not kept[1]:
        raise authority.CaLockedError("the root's key is not here: it was taken away before")
    return kept[1]


def take_root_key(database: CaDatabase) -> None:
    """
    From now on the root's list is signed where its key is kept.

    Raises:
        CaLockedError: it is not here any more.
    """
    root_key(database)
    with database.work():
        kept = database.authority(ROOT)
        if kept is not None:
            database.keep_authority(ROOT, kept[0], b"")


def sign_root_crl(
    database: CaDatabase, key: bytes, opened: Opened, settings: CaSettings, now: datetime
) -> bytes:
    """
    Sign the root's list with a key that was kept elsewhere, and keep the list.

    Raises:
        CaLockedError: it is not the root's key, or does not open.
    """
    unlocked = _unlocked_elsewhere(database, key, opened)
    if unlocked.public_key() != opened.root.public_key():
        raise authority.CaLockedError("this is not the key of this CA's root")
    with database.work():
        kept = database.fact(_ROOT_CRL)
        number = crl_number(kept) + 1 if kept else 1
        root = Authority(opened.root, unlocked)
        return _keep_root_crl(database, root, settings, number=number, now=to_second(now))


def _unlocked_elsewhere(database: CaDatabase, key: bytes, opened: Opened) -> PrivateKey:
    """It was taken out under the passphrase of then."""
    salt = database.fact(_SALT) or b""
    for passphrase in opened.others:
        with suppress(authority.CaLockedError):
            return authority.unlocked(key, authority.stretched(passphrase, salt))
    return authority.unlocked(key, opened.password)


def _lasts(der: bytes, now: datetime) -> bool:
    list_ = x509.load_der_x509_crl(der)
    begin, end = list_.last_update_utc, list_.next_update_utc
    return end is not None and now <= end - (end - begin) / 3 and end - begin <= 2 * _YEAR


def _keep_root_crl(
    database: CaDatabase, root: Authority, settings: CaSettings, *, number: int, now: datetime
) -> bytes:
    end = min(now + settings.root_crl_lasts, root.certificate.not_valid_after_utc)
    made = crl.build(root, [], number=number, this_update=now - SKEW, next_update=end)
    database.keep_fact(_ROOT_CRL, made)
    return made


def _kept(database: CaDatabase, role: str, password: bytes) -> Authority | None:
    kept = database.authority(role)
    if kept is None:
        return None
    certificate, key = kept
    return Authority(x509.load_der_x509_certificate(certificate), authority.unlocked(key, password))


def _keep(database: CaDatabase, role: str, made: Authority, password: bytes) -> None:
    database.keep_authority(
        role, made.certificate.public_bytes(Encoding.DER), authority.locked(made.key, password)
    )
