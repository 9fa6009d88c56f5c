"""Finds what a one-time code is about: a certificate, or one that has only been applied for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from renewal.store import renewals as queries
from schema.states import OldState

if TYPE_CHECKING:
    from renewal.db.unit_of_work import UnitOfWork

NO_CERTIFICATE = 0  #: of a code that is about its customer alone


@dataclass(frozen=True, kw_only=True)
class Subject:
    """``certificate``: its number; an application's has no row before it is issued."""

    certificate: int
    customer: int
    product: str
    state: str | None  #: of the certificate; none: it is not there yet


def subject_of(look: UnitOfWork, certificate: int) -> Subject | None:
    """Without its row, or without a customer, a certificate is no subject of a code."""
    row = look.certificates.find(certificate)
    if row is not None:
        if row.customer is None:
            return None
        return Subject(
            certificate=row.id, customer=row.customer, product=row.product, state=row.state
        )
    for one in queries.of_certificate(look, certificate):
        if one.old_state == OldState.NONE:
            return Subject(
                certificate=certificate, customer=one.customer, product=one.product, state=None
            )
    return None


def product_of(look: UnitOfWork, certificate: int) -> str | None:
    """The product whose rules a code has; ``None``: it is about its customer alone."""
    found = subject_of(look, certificate)
    return found.product if found else None
