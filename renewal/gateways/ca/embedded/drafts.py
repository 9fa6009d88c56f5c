"""Turns a request into the certificate to be signed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509

from renewal.errors import GatewayRefusedError
from renewal.gateways.ca.embedded import admission, subject_key
from renewal.gateways.ca.embedded.authority import new_serial
from renewal.gateways.ca.embedded.database import CaEntry
from renewal.gateways.ca.embedded.to_be_signed import Template

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from renewal.gateways.ca.embedded.authority import Authority
    from renewal.gateways.ca.embedded.profiles import Profile
    from renewal.gateways.ca.port import IssuanceRequest
    from renewal.rules.csr import SubjectKey


@dataclass(frozen=True, kw_only=True)
class Seed:
    """A certificate that was issued before the installation existed."""

    key: bytes  #: PKCS#10 or SubjectPublicKeyInfo, DER
    common_name: str
    profile: str
    not_before: datetime
    not_after: datetime


class Drafts:
    """Nothing here depends on the moment or on what was issued before: that is decided later."""

    def __init__(self, profiles: Mapping[str, Profile], issuing: Authority, base_url: str) -> None:
        self._profiles = profiles
        self._issuer = issuing.certificate
        self._templates = {
            name: Template(profile, issuing.issuer, base_url) for name, profile in profiles.items()
        }

    def of_request(self, request: IssuanceRequest) -> CaEntry:
        """
        Raises:
            GatewayRefusedError: not what the profile allows, or possession is not proven.
        """
        if not request.request_id:
            raise GatewayRefusedError("the request has no id", code="badRequest")
        return self._draft(request, request.request_id, subject_key.from_request(request.csr))

    def of_seed(self, seed: Seed) -> CaEntry:
        """
        Raises:
            GatewayRefusedError: not what the profile allows.
        """
        return self._draft(seed, None, _key_of(seed.key))

    def _draft(
        self, asked: IssuanceRequest | Seed, request_id: str | None, key: SubjectKey
    ) -> CaEntry:
        profile = self._profiles.get(asked.profile)
        if profile is None:
            raise GatewayRefusedError(f"no profile {asked.profile!r}", code="badRequest")
        subject = admission.subject(profile, asked.common_name)
        begin, end = admission.validity(asked.not_before, asked.not_after)
        admission.key_is_accepted(profile, key)
        admission.validity_fits(profile, begin, end, self._issuer)
        serial = new_serial()
        to_be_signed = self._templates[asked.profile].fill(
            serial=serial, subject=subject, not_before=begin, not_after=end, key=key
        )
        return CaEntry(
            serial=f"{serial:x}",
            request_id=request_id,
            spki_sha256=key.sha256,
            profile=asked.profile,
            subject=subject.rfc4514_string(),
            not_before=begin.isoformat(),
            not_after=end.isoformat(),
            tbs=to_be_signed,
        )


def _key_of(der: bytes) -> SubjectKey:
    try:
        x509.load_der_x509_csr(der)
    except (ValueError, x509.InvalidVersion):
        return subject_key.from_public_key(der)
    return subject_key.from_request(der)
