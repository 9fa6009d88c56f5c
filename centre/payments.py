"""What a customer owes and has paid before a renewal, as pages and programs show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from renewal.rules import fee
from renewal.store import renewals as queries
from schema.policy import FeeHow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from renewal.db.rows import Certificate
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies
    from schema.policy import Policy

SHOWN = 50
ACCOUNT_SHOWN = 4  #: its last digits


@dataclass(frozen=True, kw_only=True)
class Quote:
    """
    A fee that can be paid now. ``account``: where it is debited, masked; empty: none is on file.
    """

    certificate: int
    amount: int
    account: str


@dataclass(frozen=True, kw_only=True)
class Paid:
    """One payment. ``state``: asked, paid, reserved, consumed, refused, to refund or refunded."""

    payment: str
    certificate: int
    serial: str
    amount: int
    asked_at: datetime
    state: str
    renewal: str | None


def quote(look: UnitOfWork, certificate: Certificate, policies: Policies) -> Quote | None:
    """What is to be paid for the next renewal, or ``None``: this product is not paid beforehand."""
    policy = policies.of(certificate.product)
    return _quote(look, certificate, policy) if policy.fee.how is FeeHow.PREPAID else None


def held(look: UnitOfWork, certificate: Certificate, policies: Policies) -> Quote | None:
    """What is held when the renewal begins and debited when it is delivered, or ``None``."""
    policy = policies.of(certificate.product)
    return _quote(look, certificate, policy) if policy.fee.how is FeeHow.HOLD else None


def _quote(look: UnitOfWork, certificate: Certificate, policy: Policy) -> Quote:
    enrolment = look.enrolments.find((certificate.customer, certificate.product))
    account = ""
    if enrolment is not None and enrolment.account_sealed is not None:
        whole = look.cipher.open_text(
            enrolment.account_sealed, "enrolments.account", enrolment.sealed_row
        )
        account = "*" * max(0, len(whole) - ACCOUNT_SHOWN) + whole[-ACCOUNT_SHOWN:]
    return Quote(certificate=certificate.id, amount=fee.amount_at(look.at, policy), account=account)


def paid(look: UnitOfWork, customer: int) -> Sequence[Paid]:
    """The customer's payments, the newest first."""
    rows = queries.payments_of_customer(look, customer, SHOWN)
    look.certificates.load(row.certificate for row in rows)
    return [
        Paid(
            payment=row.id,
            certificate=row.certificate,
            serial=look.certificates.get(row.certificate).serial[-8:].upper(),
            amount=row.amount,
            asked_at=row.asked_at,
            state=row.state,
            renewal=row.renewal,
        )
        for row in rows
    ]
