"""Accepts a certificate only if a trusted CA has signed it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cryptography import x509

from back_office.imports.certificate_files import entries_of
from renewal.errors import ReasonedError
from renewal.rules import x509 as certificates
from renewal.rules.policies import Policies
from renewal.rules.signed import NotSignedError, verify_certificate
from schema.reasons import FindingReason, ReadingReason

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from schema.reasons import Reason


class TrustError(ReasonedError):
    """The trust anchors cannot be used; ``about`` names the file."""


class NotTrustedError(ReasonedError):
    """No anchor has signed the certificate; the reason is why it is not believed."""


@dataclass(frozen=True)
class Anchors:
    """The CAs whose certificates are believed, by their names."""

    by_name: dict[str, list[x509.Certificate]] = field(default_factory=dict)

    def verify(self, der: bytes) -> None:
        """
        Raises:
            NotTrustedError
        """
        try:
            issuer = _folded(certificates.read(der).issuer)
        except certificates.UnreadableCertificateError as error:
            raise NotTrustedError(error.reason) from error
        found = self.by_name.get(issuer, [])
        if not found:
            raise _not_signed(FindingReason.ISSUER_UNKNOWN.why())
        why = ReadingReason.OTHER_KEY.why()
        for anchor in found:
            try:
                verify_certificate(der, anchor.public_key())
            except NotSignedError as error:
                why = error.reason
            else:
                return
        raise _not_signed(why)


def _not_signed(why: Reason) -> NotTrustedError:
    return NotTrustedError(FindingReason.NOT_SIGNED.why(detail=why.stored()))


class Unverified:
    """Believes anything, for trials; what comes in so is marked and confirms no renewal."""

    def verify(self, der: bytes) -> None:
        del der


UNVERIFIED: Final = Unverified()
Trust = Anchors | Unverified


def anchors_in(paths: Iterable[Path]) -> Anchors:
    """
    Read the anchors from files and folders: PEM, DER or PKCS#7, as many as there are.

    One whose own issuer stands among them must be signed by it.

    Raises:
        TrustError
    """
    found: dict[str, list[x509.Certificate]] = {}
    ders: list[tuple[str, bytes]] = []
    for path in paths:
        for entry in entries_of(path, Policies({})):
            where = f"{path}: {entry.file} {entry.place}".rstrip()
            if entry.wrong or not entry.der:
                wrong = next((reason for _, reason in entry.wrong), FindingReason.HOLDS_NONE.why())
                raise TrustError(wrong, where)
            anchor = _authority(where, entry.der)
            found.setdefault(_folded(anchor.subject.public_bytes()), []).append(anchor)
            ders.append((where, entry.der))
    if not found:
        raise TrustError(FindingReason.NO_ANCHOR)
    anchors = Anchors(found)
    for where, der in ders:
        if _folded(certificates.read(der).issuer) in found:
            try:
                anchors.verify(der)
            except NotTrustedError as error:
                raise TrustError(error.reason, where) from error
    return anchors


def _authority(where: str, der: bytes) -> x509.Certificate:
    try:
        found = x509.load_der_x509_certificate(der)
        extensions = found.extensions
    except (ValueError, x509.InvalidVersion, x509.DuplicateExtension) as error:
        raise TrustError(FindingReason.NO_CA_CERTIFICATE, where) from error
    try:
        is_ca = extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        is_ca = found.version is x509.Version.v1 and found.subject == found.issuer
    try:
        signs = extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        signs = True
    if not (is_ca and signs):
        raise TrustError(FindingReason.NOT_A_CA, where)
    return found


def _folded(name: bytes) -> str:
    """
    A name as RFC 5280, 7.1 compares it: whatever kind of string, letters or spaces it is written
    in.
    """
    return "\n".join(
        f"{kind}={' '.join(text.split()).casefold()}"
        for kind, text in certificates.attributes(name)
    )
