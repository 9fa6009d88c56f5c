"""Checks a certificate request against the renewal that it is for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal.rules.csr import BadRequestError
from renewal.store import certificates as certificate_queries
from renewal.store import renewals as queries
from schema.reasons import RequestReason

if TYPE_CHECKING:
    from renewal.db.rows import Renewal
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.csr import Accepted


def check_named(work: UnitOfWork, renewal: Renewal, accepted: Accepted) -> None:
    """
    Refuse before a code is used up what the CA's profile has no name for.

    Raises:
        BadRequestError
    """
    customer = work.customers.get(renewal.customer)
    number = work.cipher.open_text(customer.id_number_sealed, "customers.id_number", customer.id)
    if not accepted.names(number):
        raise BadRequestError(RequestReason.NO_NAME)


def check_unused(work: UnitOfWork, key: bytes) -> None:
    """
    A public key is used once: by no renewal and no certificate of anybody, imported ones included.

    Raises:
        BadRequestError
    """
    if queries.key_is_used(work, key) or certificate_queries.key_is_used(work, key):
        raise BadRequestError(RequestReason.KEY_USED)
