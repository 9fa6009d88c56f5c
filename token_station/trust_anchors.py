"""Holds whom the bank trusts to vouch for a token: certificates of makers, or the bank's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from renewal.errors import XuqiError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


class TrustAnchorsError(XuqiError):
    """The file cannot be used; the text names it."""


@dataclass(frozen=True)
class TrustAnchors:
    """
    The certificates that end a chain. Without one nothing can be proven, and nothing is asked.
    """

    certificates: tuple[x509.Certificate, ...] = ()

    @classmethod
    def read(cls, pem: str, *, where: str) -> TrustAnchors:
        """
        Raises:
            TrustAnchorsError: it is not a row of certificates in PEM.
        """
        try:
            return cls(tuple(x509.load_pem_x509_certificates(pem.encode())))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise TrustAnchorsError(f"{where}: no certificates in PEM") from error

    def __bool__(self) -> bool:
        return bool(self.certificates)

    def vouch_for(
        self, leaf: x509.Certificate, between: Sequence[x509.Certificate], *, at: datetime
    ) -> bool:
        """
        Say whether a chain of valid certificates leads from the leaf to one that is trusted.
        """
        if not _is_valid(leaf, at):
            return False
        if any(_has_issued(anchor, leaf) and _is_valid(anchor, at) for anchor in self.certificates):
            return True
        return any(
            _may_issue(issuer)
            and _has_issued(issuer, leaf)
            and self.vouch_for(issuer, [one for one in between if one is not issuer], at=at)
            for issuer in between
        )


def _is_valid(certificate: x509.Certificate, at: datetime) -> bool:
    return certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc


def _may_issue(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False


def _has_issued(issuer: x509.Certificate, leaf: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
