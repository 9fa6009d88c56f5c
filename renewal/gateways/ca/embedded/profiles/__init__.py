"""Reads certificate profiles from data files."""

from __future__ import annotations

import re
import tomllib
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import msgspec
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from renewal.errors import XuqiError
from renewal.rules.csr import KINDS, PROVABLE, Accepted

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER: Final = Path(__file__).parent
#: In the order of the bits (RFC 5280, 4.2.1.3). Signing only: nothing is encrypted to a
#: customer's key, and a key that signs contracts must not also decrypt.
KEY_USAGES: Final = {
    "digitalSignature": "digital_signature",
    "nonRepudiation": "content_commitment",
}
EXTENDED_KEY_USAGES: Final = {
    "clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "emailProtection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
}
LONGEST_DAYS: Final = 3_660
BASE: Final = "{base}"
LONGEST_NAME: Final = 64  #: ub-common-name and its like (RFC 5280, appendix A.1)
_OID: Final = re.compile(r"[0-2](\.(0|[1-9]\d*))+")


class ProfileError(XuqiError):
    """A profile file cannot be used; the text names the file, the field and the reason."""


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class ProfileSubject(_Table, frozen=True):
    country: str
    organization: str
    organizational_units: list[str]
    common_name: str  #: a pattern that the whole common name must match


class KeyUsage(_Table, frozen=True):
    key: list[str]
    extended: list[str]
    policies: list[str]


class Addresses(_Table, frozen=True):
    crl: str
    issuer: str
    ocsp: str


class ProfileValidity(_Table, frozen=True):
    at_most_days: int


class AcceptedKeys(_Table, frozen=True):
    accepted: list[str]


class Profile(_Table, frozen=True, dict=True):
    subject: ProfileSubject
    usage: KeyUsage
    addresses: Addresses
    validity: ProfileValidity
    keys: AcceptedKeys

    @cached_property
    def common_name_pattern(self) -> re.Pattern[str]:
        return re.compile(self.subject.common_name)

    @property
    def acceptance(self) -> Accepted:
        """
        What the profile certifies and a customer can prove, for whoever asks before the CA does.
        """
        keys = tuple(kind for kind in self.keys.accepted if kind in PROVABLE)
        return Accepted(keys=keys, common_name=self.common_name_pattern)

    @cached_property
    def _stem(self) -> tuple[x509.NameAttribute[str], ...]:
        return (
            x509.NameAttribute(NameOID.COUNTRY_NAME, self.subject.country),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, self.subject.organization),
            *(
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit)
                for unit in self.subject.organizational_units
            ),
        )

    def name(self, common_name: str) -> x509.Name:
        return x509.Name([*self._stem, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])

    def extensions(self, base_url: str) -> tuple[tuple[x509.ExtensionType, bool], ...]:
        """
        Return the extensions that every certificate of this profile shares, with their criticality.
        """
        asked = {KEY_USAGES[name] for name in self.usage.key}
        return (
            (_key_usage(asked), True),
            (x509.ExtendedKeyUsage([EXTENDED_KEY_USAGES[n] for n in self.usage.extended]), False),
            (_policies(self.usage.policies), False),
            (_crl_points(self.addresses.crl.replace(BASE, base_url)), False),
            (_authority_access(self.addresses, base_url), False),
        )


def load(folder: Path = FOLDER) -> Mapping[str, Profile]:
    """
    Read every ``*.toml`` of the folder; a profile is called as its file.

    Raises:
        ProfileError: a file is not a profile; says which, where and why.
    """
    found = {path.stem: read(path) for path in sorted(folder.glob("*.toml"))}
    if not found:
        raise ProfileError(f"{folder}: no profile (*.toml) here")
    return MappingProxyType(found)


def read(path: Path) -> Profile:
    try:
        profile = msgspec.convert(tomllib.loads(path.read_text("utf-8")), Profile)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ProfileError(f"{path}: {error}") from error
    for field, why in _faults(profile):
        raise ProfileError(f"{path}: {field}: {why}")
    return profile


def _faults(profile: Profile) -> list[tuple[str, str]]:
    return [
        *_subject_faults(profile.subject),
        *_not_among("usage.key", profile.usage.key, KEY_USAGES),
        *_not_among("usage.extended", profile.usage.extended, EXTENDED_KEY_USAGES),
        *_not_among("keys.accepted", profile.keys.accepted, KINDS),
        *_policy_faults(profile.usage.policies),
        *_address_faults(profile.addresses),
        *_validity_faults(profile.validity.at_most_days),
    ]


def _subject_faults(subject: ProfileSubject) -> list[tuple[str, str]]:
    faults = []
    if not re.fullmatch("[A-Z]{2}", subject.country):
        faults.append(("subject.country", "two capital letters are needed (ISO 3166)"))
    faults += [
        ("subject", f"{name!r} does not have 1 to {LONGEST_NAME} characters")
        for name in (subject.organization, *subject.organizational_units)
        if not 1 <= len(name) <= LONGEST_NAME
    ]
    try:
        re.compile(subject.common_name)
    except re.error as error:
        faults.append(("subject.common_name", f"not a pattern: {error}"))
    return faults


def _not_among(
    field: str, given: list[str], known: Mapping[str, object] | tuple[str, ...]
) -> list[tuple[str, str]]:
    if not given:
        return [(field, "at least one is needed")]
    if len(set(given)) < len(given):
        return [(field, "one is named twice")]
    return [
        (field, f"{name!r} is not one of {', '.join(known)}") for name in given if name not in known
    ]


def _policy_faults(policies: list[str]) -> list[tuple[str, str]]:
    if not policies:
        return [("usage.policies", "at least one is needed")]
    return [
        ("usage.policies", f"{policy!r} is not an object identifier")
        for policy in policies
        if not _OID.fullmatch(policy)
    ]


def _address_faults(addresses: Addresses) -> list[tuple[str, str]]:
    # Plain http: whoever checks a certificate to open a TLS connection cannot need TLS
    # to check it (RFC 5280, 8; RFC 6960, A.1).
    return [
        (f"addresses.{field}", f"{address!r} begins neither with http:// nor with {BASE}/")
        for field in ("crl", "issuer", "ocsp")
        if not (address := str(getattr(addresses, field))).startswith(("http://", f"{BASE}/"))
    ]


def _validity_faults(days: int) -> list[tuple[str, str]]:
    if 1 <= days <= LONGEST_DAYS:
        return []
    return [("validity.at_most_days", f"{days} is not from 1 to {LONGEST_DAYS}")]


def _key_usage(asked: set[str]) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature="digital_signature" in asked,
        content_commitment="content_commitment" in asked,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _policies(policies: list[str]) -> x509.CertificatePolicies:
    return x509.CertificatePolicies(
        [x509.PolicyInformation(x509.ObjectIdentifier(policy), None) for policy in policies]
    )


def _crl_points(url: str) -> x509.CRLDistributionPoints:
    uri = x509.UniformResourceIdentifier(url)
    return x509.CRLDistributionPoints([x509.DistributionPoint([uri], None, None, None)])


def _authority_access(addresses: Addresses, base_url: str) -> x509.AuthorityInformationAccess:
    access = AuthorityInformationAccessOID
    return x509.AuthorityInformationAccess(
        [
            x509.AccessDescription(
                method, x509.UniformResourceIdentifier(address.replace(BASE, base_url))
            )
            for method, address in (
                (access.OCSP, addresses.ocsp),
                (access.CA_ISSUERS, addresses.issuer),
            )
        ]
    )
