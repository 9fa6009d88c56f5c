"""Builds the to-be-signed part of a customer's certificate (RFC 5280, 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from renewal.gateways.ca.embedded import der

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509

    from renewal.gateways.ca.embedded.profiles import Profile
    from renewal.rules.csr import SubjectKey

_VERSION_3: Final = der.explicit(0, der.integer(2))
_AUTHORITY_KEY_IDENTIFIER: Final = "2.5.29.35"
_SUBJECT_KEY_IDENTIFIER: Final = "2.5.29.14"


@dataclass(frozen=True, kw_only=True)
class Issuer:
    """What a certificate says of the CA that signs it."""

    name: bytes  #: Name, DER
    key_identifier: bytes
    algorithm: bytes  #: AlgorithmIdentifier of its signatures, DER

    @property
    def authority_key_identifier(self) -> bytes:
        """The extension that ties a certificate or a CRL to the CA's key."""
        value = der.sequence(der.tlv(0x80, self.key_identifier))
        return der.extension(_AUTHORITY_KEY_IDENTIFIER, value)


class Template:
    """
    Writes what changes from one certificate to the next around what stays the same.

    By hand, since that is half as much work again for the builder of ``cryptography``;
    a test holds the two equal byte for byte.
    """

    def __init__(self, profile: Profile, issuer: Issuer, base_url: str) -> None:
        self._issuer = issuer
        self._same = b"".join(
            der.extension(value.oid.dotted_string, value.public_bytes(), critical=critical)
            for value, critical in profile.extensions(base_url)
        )

    def fill(
        self,
        *,
        serial: int,
        subject: x509.Name,
        not_before: datetime,
        not_after: datetime,
        key: SubjectKey,
    ) -> bytes:
        """Return the TBSCertificate, DER. The same arguments give the same bytes."""
        own = der.extension(_SUBJECT_KEY_IDENTIFIER, der.octets(key.identifier))
        return der.sequence(
            _VERSION_3,
            der.integer(serial),
            self._issuer.algorithm,
            self._issuer.name,
            der.sequence(der.time(not_before), der.time(not_after)),
            subject.public_bytes(),
            key.spki,
            der.explicit(3, der.sequence(self._same, self._issuer.authority_key_identifier, own)),
        )
